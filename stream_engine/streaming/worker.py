"""One replica: everything wired together, started in order, watched, and stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits

from stream_engine import logs
from stream_engine.codec import Limits
from stream_engine.encoder.load import open_encoder
from stream_engine.engine import Engine
from stream_engine.errors import BadConfiguration
from stream_engine.index.open import open_index
from stream_engine.items.view import ItemView
from stream_engine.metrics import Metrics
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import Settings
from stream_engine.streaming.app import add_agents, items_table, make_app, users_table
from stream_engine.streaming.feed import Feed, Subscription, ViewWriter
from stream_engine.streaming.guard import Guard, Stage
from stream_engine.streaming.health import Health
from stream_engine.streaming.lease import Lease
from stream_engine.streaming.publisher import KafkaPublisher
from stream_engine.streaming.stages import Catalogue, Clicks, Control, Statistics
from stream_engine.streaming.topics import ITEMS_TABLE, changelog_topic, interactions_topic, item_state_topic
from stream_engine.streaming.watchdog import Progress

log = logging.getLogger(__name__)
LEFT = 75  # EX_TEMPFAIL: start me again
LOOK_EVERY = 3.0
STOP_WITHIN = 15.0


def run_worker(settings: Settings) -> int:
    """Run one replica until SIGTERM or SIGINT; returns the exit code."""
    logs.set_up(verbose=settings.stream.verbose)
    threadpool_limits(1, user_api="blas")  # small matrices: more threads only fight for the cores
    return asyncio.run(Worker(settings).run())


class Worker:
    """The composition root of a replica."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics(CollectorRegistry())
        self._lease = Lease(limit=settings.kafka.session_timeout / 2, noted=time.monotonic())
        self._waiting_for = {"start"}
        self._stop = asyncio.Event()
        self._guards: dict[str, Guard] = {}

    async def run(self) -> int:
        """Start, serve, stop."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop.set)
        self._settings.stream.data_dir.mkdir(parents=True, exist_ok=True)
        health = Health(self._metrics, self._missing)
        await health.start("127.0.0.1", self._settings.stream.metrics_port)
        (self._settings.stream.data_dir / "health.port").write_text(str(health.port))
        try:
            code = await self._serve()
        except BadConfiguration:
            raise
        except Exception:
            log.exception("failure")
            self._leave("see above")  # threads of Faust may hang on a tidy way out
        await health.stop()
        return code

    async def _serve(self) -> int:
        settings, kafka = self._settings, self._settings.kafka
        encoder = await asyncio.to_thread(open_encoder, settings.encoder, settings.stream.data_dir)
        index = await open_index(
            settings.index,
            fingerprint=encoder.fingerprint,
            dimensions=encoder.dimensions,
            data_dir=settings.stream.data_dir,
        )
        shared = settings.index.location.startswith("http")
        view = ItemView(encoder.dimensions, settings.statistics, fingerprint=encoder.fingerprint)
        engine = Engine(
            view=view,
            index=index,
            encoder=encoder,
            ranker=Ranker(),
            users=settings.users,
            ranking=settings.ranking,
        )
        publisher = KafkaPublisher(kafka, timeout=0.8 * kafka.session_timeout)
        await publisher.start()
        writer = ViewWriter(view, index, shared=shared)
        feed = Feed(
            kafka,
            (
                Subscription(item_state_topic(kafka.group), writer.catalogue),
                Subscription(changelog_topic(kafka.group, ITEMS_TABLE), writer.statistics),
            ),
            after=writer.index,
        )
        self._waiting_for = {"catalogue"}
        tasks = [self._watched(feed.run())]
        await self._first(feed.caught_up.wait(), self._stop.wait(), *tasks)
        app = make_app(settings, finish=self._finish)
        limits = Limits(max_future=settings.stream.max_future, max_bytes=kafka.max_record_bytes)
        dead_letters, users = settings.topics.dead_letters, users_table(app, settings)
        interactions = interactions_topic(kafka.group)
        stages: dict[str, Clicks | Catalogue | Statistics | Control] = {
            settings.topics.clicks: Clicks(
                engine=engine,
                users=users,
                limits=limits,
                clock=time.time,
                recommendations=settings.topics.recommendations,
                dead_letters=dead_letters,
                items=settings.topics.items,
                interactions=interactions,
                partitions=kafka.partitions,
            ),
            settings.topics.items: Catalogue(
                view=view,
                encoder=encoder,
                limits=limits,
                item_state=item_state_topic(kafka.group),
                dead_letters=dead_letters,
                shared_index=index if shared else None,
            ),
            interactions: Statistics(
                table=items_table(app, settings),
                settings=settings.statistics,
                dead_letters=dead_letters,
                cached={},
            ),
            settings.topics.users: Control(
                users=users,
                limits=limits,
                recommendations=settings.topics.recommendations,
                dead_letters=dead_letters,
            ),
        }
        turn = asyncio.Lock()  # of those who write the users' table
        tables = {settings.topics.clicks: turn, settings.topics.users: turn}
        self._guards = {
            topic: Guard(
                Stage(topic, stage.handle, _forgetting(stage), tables.get(topic) or asyncio.Lock()),
                positions=app.positions,
                publisher=publisher,
                dead_letters=dead_letters,
                may_write=self._may_write,
                metrics=self._metrics,
                linger=1.0 if topic == interactions else 0.0,
            )
            for topic, stage in stages.items()
        }
        add_agents(app, self._guards)
        self._waiting_for = {"partitions"}
        self._lease = Lease(limit=self._lease.limit, noted=time.monotonic())
        tasks += [
            self._watched(self._note_lease()),
            self._watched(self._watch_progress(app)),
            self._watched(self._guards[interactions].linger()),
        ]
        await app.start()
        self._waiting_for = set()
        await self._first(self._stop.wait(), app.wait_until_stopped(), *tasks)
        self._waiting_for = {"stop"}
        if not self._stop.is_set():
            self._leave("Faust stopped by itself")
        async with asyncio.timeout(STOP_WITHIN):
            await app.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await publisher.stop()
            await encoder.close()
            await index.close()
        return 0

    async def _finish(self) -> None:
        await asyncio.gather(*(guard.finish() for guard in self._guards.values()))

    def _may_write(self) -> None:
        if not self._lease.held(time.monotonic()):
            self._leave("the lease is lost: this process stood still for too long")

    async def _note_lease(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self._lease = self._lease.note(time.monotonic())
            if self._lease.lost:
                self._leave("the lease is lost: this process stood still for too long")

    async def _watch_progress(self, app: Any) -> None:
        progress = Progress()
        patience = max(10.0, 2 * self._settings.kafka.session_timeout)
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if app.rebalancing or any(guard.holding for guard in self._guards.values()):
                progress = Progress()
                continue
            ends = await app.consumer.ends()
            progress = progress.note(time.monotonic(), app.positions.waiting(), ends)
            if stuck := progress.stuck(time.monotonic(), patience):
                self._leave(f"nothing moves in {stuck} though there are records to read")

    def _leave(self, reason: str) -> NoReturn:
        """End this process at once, with nothing more written: whoever started it starts it again."""
        log.critical("leave: %s", reason)
        logging.shutdown()
        os._exit(LEFT)

    def _missing(self) -> list[str]:
        holding: Iterable[str] = (name for guard in self._guards.values() for name in guard.holding)
        return sorted(self._waiting_for | set(holding))

    def _watched(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(coroutine)

    @staticmethod
    async def _first(*waits: Any) -> None:
        """Return when the first ends; an exception of any is raised."""
        tasks = [asyncio.ensure_future(each) for each in waits]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


def _forgetting(stage: object) -> Callable[[], None]:
    return stage.forget if isinstance(stage, Statistics) else lambda: None


if __name__ == "__main__":
    sys.exit(run_worker(Settings()))
