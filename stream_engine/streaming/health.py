"""A worker's HTTP page on loopback: /live, /ready, /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

from stream_engine.metrics import Metrics

Missing = Callable[[], list[str]]


class Health:
    """Serves until stopped; `missing` says what keeps the worker from being ready."""

    def __init__(self, metrics: Metrics, missing: Missing) -> None:
        self._metrics = metrics
        self._missing = missing
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
        missing = self._missing()
        text = "ready\n" if not missing else f"waiting for {', '.join(missing)}\n"
        return web.Response(text=text, status=503 if missing else 200)

    async def _show(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._metrics.registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )
