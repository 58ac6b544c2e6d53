"""A worker's HTTP page on loopback: /live, /ready, /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

from stream_engine.metrics import Metrics

Names = Callable[[], list[str]]


class Health:
    """Serves until stopped; `missing` says what keeps the worker from being ready, `degraded` what it goes without."""

    def __init__(self, metrics: Metrics, missing: Names, degraded: Names = list) -> None:
        self._metrics = metrics
        self._missing = missing
        self._degraded = degraded
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 picks a free one, told by `port`."""
        app = web.Application()
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._show)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; idempotent."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def _ready(self, _: web.Request) -> web.Response:
        if missing := self._missing():
            return web.Response(text=f"waiting for {', '.join(missing)}\n", status=503)
        degraded = self._degraded()
        return web.Response(text=f"ready, without {', '.join(degraded)}\n" if degraded else "ready\n")

    async def _show(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._metrics.registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )
