"""One replica: started in order, watched, and stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits

from stream_engine import folders, logs
from stream_engine.errors import BadConfiguration, NewerVersion
from stream_engine.metrics import Metrics
from stream_engine.settings import Settings
from stream_engine.streaming.app import add_agents, items_table, make_app, users_table
from stream_engine.streaming.chunk_app import ChunkApp
from stream_engine.streaming.guard import Guard
from stream_engine.streaming.health import Health
from stream_engine.streaming.lease import Lease
from stream_engine.streaming.parts import Parts, make_stages, open_parts
from stream_engine.streaming.upkeep import Tables, Upkeep, make_upkeep
from stream_engine.streaming.watching import Watch

log = logging.getLogger(__name__)
LEFT = 75  # EX_TEMPFAIL: start me again
OUTDATED = 2  # as for a wrong setting: starting me again mends nothing
SHARE_EVERY = 2.0
STOP_WITHIN = 15.0
YOUNG = 1_000  # objects that stay before the collector looks at them, which takes a millisecond or two
STOOD_STILL = "the lease is lost: this process stood still for too long"


def run_worker(settings: Settings) -> int:
    """Run one replica until SIGTERM or SIGINT; returns the exit code."""
    logs.set_up(verbose=settings.stream.verbose)
    threadpool_limits(1, user_api="blas")  # small matrices: more threads only fight for the cores
    return asyncio.run(Worker(settings).run())


class Worker:
    """A replica's life."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics(CollectorRegistry())
        self._lease = Lease(limit=settings.kafka.session_timeout / 2, noted=time.monotonic())
        self._waiting_for = {"start"}
        self._stop = asyncio.Event()
        self._guards: dict[str, Guard] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._parts: Parts | None = None
        self._watch: Watch | None = None

    async def run(self) -> int:
        """Start, serve, stop."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop.set)
        folders.make_private(self._settings.stream.data_dir)
        health = Health(self._metrics, self._missing, self._degraded)
        await health.start("127.0.0.1", self._settings.stream.metrics_port)
        folders.note(self._settings.stream.data_dir / "health.port", str(health.port))
        try:
            await self._serve()
        except BadConfiguration:
            raise
        except Exception:
            log.exception("failure")
            leave("see above")  # Faust may hang on a tidy way out
        await health.stop()
        return 0

    async def _serve(self) -> None:
        parts = self._parts = await open_parts(self._settings, may_write=self._may_write)
        self._waiting_for = {"catalogue"}
        self._start(parts.feed.run())
        await self._until(parts.feed.caught_up.wait())
        await self._until(parts.index.optimize())
        parts.writer.whole = True
        for newer in parts.feed.newer.values():  # before the group is disturbed; one that runs goes on while it can
            outdated(newer)
        spare_collector()
        parts.sharing.merge()
        self._waiting_for = {"partitions"}
        app, upkeep = self._make_app(parts)
        await restored(upkeep, parts)
        parts.publisher.on_written = parts.bulk.on_written = app.note_written
        self._lease = Lease(limit=self._lease.limit, noted=time.monotonic())
        self._start(self._note_lease())
        self._watch = self._make_watch(app)
        self._start(self._watch.run())
        self._start(parts.sharing.run(SHARE_EVERY))
        self._start(parts.index.keep_optimized())
        self._start(parts.explorer.run())
        self._start(self._show(parts, upkeep))
        for guard in self._guards.values():
            if guard.lingers:
                self._start(guard.linger())
        for each in upkeep.rounds():
            self._start(each.run())
        await app.start()
        self._waiting_for = set()
        await self._until(app.wait_until_stopped())
        self._waiting_for = {"stop"}
        if not self._stop.is_set():
            leave("Faust stopped by itself")
        async with asyncio.timeout(STOP_WITHIN):
            await app.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await upkeep.finish()
            await parts.close()

    def _make_app(self, parts: Parts) -> tuple[ChunkApp, Upkeep]:
        settings = self._settings
        app = make_app(settings, finish=self._finish, outdated=outdated)
        app.turned_out, app.on_read = leave, self._count_recovered
        users, items = users_table(app, settings), items_table(app, settings)
        stages = make_stages(settings, parts, users=users, items=items, moved=self._count_moved)
        clicks = settings.topics.clicks
        stages[clicks] = replace(stages[clicks], handle=app.intake.opened_by(stages[clicks].handle))
        self._guards = {
            topic: Guard(
                stage,
                positions=app.positions,
                publisher=parts.bulk if stage.patient else parts.publisher,
                dead_letters=settings.topics.dead_letters,
                may_write=self._may_write,
                metrics=self._metrics,
                outdated=outdated,
            )
            for topic, stage in stages.items()
        }
        add_agents(app, self._guards)
        tables = Tables(users, items, stages)
        upkeep = make_upkeep(settings, parts, app, tables, may_write=self._may_write, mended=self._count_mended)
        return app, upkeep

    def _make_watch(self, app: ChunkApp) -> Watch:
        session = self._settings.kafka.session_timeout
        return Watch(app, session=session, holding=lambda: bool(self._held_by()), leave=leave)

    def _count_moved(self, topic: str, records: int) -> None:
        self._metrics.moved.labels(topic).inc(records)

    def _count_mended(self, changelog: str, records: int) -> None:
        self._metrics.mended.labels(changelog).inc(records)

    def _count_recovered(self, changelog: str, purpose: str, records: int) -> None:
        self._metrics.recovered.labels(changelog, purpose).inc(records)

    async def _finish(self) -> None:
        await asyncio.gather(*(guard.finish() for guard in self._guards.values()))

    def _may_write(self) -> None:
        if not self._lease.held(time.monotonic()):
            leave(STOOD_STILL)

    async def _note_lease(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self._lease = self._lease.note(time.monotonic())
            if self._lease.lost:
                leave(STOOD_STILL)

    async def _show(self, parts: Parts, upkeep: Upkeep) -> None:
        """Keep the gauges at what they measure."""
        while True:
            quality = parts.engine.quality
            self._metrics.items.set(len(parts.view))
            self._metrics.ready.set(not self._missing())
            self._metrics.expired.set(upkeep.expired)
            self._metrics.forgotten.set(upkeep.surplus.forgotten)
            self._metrics.quality.labels("hit_rate_at_10").set(quality.hit_rate)
            self._metrics.quality.labels("mrr").set(quality.mean_reciprocal_rank)
            self._metrics.quality.labels("trending_hit_rate_at_10").set(quality.trending_hit_rate)
            await asyncio.sleep(1.0)

    def _missing(self) -> list[str]:
        """What keeps the worker from being ready."""
        away = {"broker"} if self._watch is not None and self._watch.away else set()
        return sorted(self._waiting_for | self._held_by() | away)

    def _held_by(self) -> set[str]:
        return {name for guard in self._guards.values() for name in guard.holding}

    def _degraded(self) -> list[str]:
        """What the worker goes without."""
        return [] if self._parts is None else self._parts.missed()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(coroutine))

    async def _until(self, wait: Coroutine[Any, Any, Any]) -> None:
        """Return when `wait` or a stop does; what goes wrong with any task is raised."""
        waits = [asyncio.ensure_future(wait), asyncio.ensure_future(self._stop.wait()), *self._tasks]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def restored(upkeep: Upkeep, parts: Parts) -> None:
    """Go on from what is on the disk; a later version may have been here."""
    try:
        await upkeep.restore(parts.past)
    except NewerVersion as newer:
        outdated(newer)


def spare_collector() -> None:
    """What is here now stays: to look through it all again and again would stop the clicks for tenths of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 100, 20)


def leave(reason: str, code: int = LEFT) -> NoReturn:
    """End this process at once, with nothing more written: whoever started it starts it again."""
    log.critical("leave: %s", reason)
    logging.shutdown()
    os._exit(code)


def outdated(newer: NewerVersion) -> NoReturn:
    """Leave the partitions to workers that can read what is there; until this one is upgraded it is of no use."""
    leave(str(newer), OUTDATED)


if __name__ == "__main__":
    sys.exit(run_worker(Settings()))
