"""A worker's page, over a real socket."""

from __future__ import annotations

import aiohttp
from prometheus_client import CollectorRegistry

from stream_engine.metrics import Metrics
from stream_engine.streaming.health import Health


async def test_live_ready_and_metrics() -> None:
    missing, degraded = ["catalogue", "partitions"], ["index"]
    metrics = Metrics(CollectorRegistry())
    metrics.published.labels("recommendations").inc(3)
    health = Health(metrics, lambda: missing, lambda: degraded)
    await health.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{health.port}") as client:

            async def get(path: str) -> tuple[int, str]:
                async with client.get(path) as answer:
                    return answer.status, await answer.text()

            assert (await get("/live"))[0] == 200
            assert await get("/ready") == (503, "waiting for catalogue, partitions\n")
            missing.clear()
            assert await get("/ready") == (200, "ready, without index\n")
            degraded.clear()
            assert await get("/ready") == (200, "ready\n")
            status, text = await get("/metrics")
            assert status == 200
            assert 'stream_engine_published_total{topic="recommendations"} 3.0' in text
            assert (await get("/other"))[0] == 404
    finally:
        await health.stop()
        await health.stop()


async def test_stopping_what_never_started_is_nothing() -> None:
    await Health(Metrics(CollectorRegistry()), list).stop()
