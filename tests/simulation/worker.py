"""One worker: the real guard, stage and lease, on the models of Faust and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from faust.types import TP
from prometheus_client import CollectorRegistry

from simulation.broker import CHANGELOG, CLICKS, Broker, Producer, Record
from simulation.clock import Clock, Process
from simulation.faust_app import App
from simulation.group import SESSION, Group
from simulation.holes import Cures
from simulation.kafka_thread import KafkaThread
from simulation.plan import Plan
from simulation.stage import Disk, Store, clicks_stage
from stream_engine.errors import Unavailable
from stream_engine.metrics import Metrics
from stream_engine.streaming.admin import Facts
from stream_engine.streaming.guard import Guard
from stream_engine.streaming.lease import Lease
from stream_engine.streaming.mending import Mender
from stream_engine.streaming.saving import Saving

METRICS = Metrics(CollectorRegistry())
NOTE_LEASE = SESSION / 6
COMMIT = SESSION / 3
MEND = SESSION / 3
SAVE = SESSION / 4
DISK = 0.02  # seconds a file takes
FOLLOW = SESSION / 20


class Left(BaseException):
    """The process is gone."""


class Worker:
    """A process from its start to its end."""

    def __init__(
        self,
        *,
        clock: Clock,
        broker: Broker,
        group: Group,
        name: str,
        disk: Disk,
        cures: Cures,
        plan: Plan,
        on_leave: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._on_leave = on_leave
        self._broker = broker
        self._cures = cures
        self._plan = plan
        store = self.store = Store(cures.marks, owned=cures.owners)
        self.process = Process(name)
        self.main = clock.loop(self.process)
        self._positions = cures.positions()
        self._thread = KafkaThread(
            broker=broker,
            group=group,
            loop=clock.loop(self.process) if cures.thread else self.main,
            main=self.main,
            slip=plan.slip,
        )
        self._app = App(
            positions=self._positions,
            finish=self._finish,
            recover=self._recover,
            table=store,
            chunk_size=plan.chunk_size,
        )
        self._consumer = cures.consumer(self._app, self._thread, self.main)
        self._lease = Lease(limit=SESSION / 2, noted=0.0)
        publisher = Producer(broker, self.main, failing=plan.failing, late=plan.late)
        publisher.on_written = self._app.note_written
        stage = clicks_stage(store, clock, self._clicks, rewrite=cures.rewrite)
        self._saving = Saving(store, disk, stage.turn, clock=lambda: clock.now, apart=self._on_disk)
        self._mender = Mender(store, self._app, self, publisher, turn=stage.turn, may_write=self._may_write)
        self._guard = Guard(
            stage,
            positions=self._positions,
            publisher=publisher,
            dead_letters="dead-letters",
            may_write=self._may_write,
            metrics=METRICS,
            max_pause=SESSION / 10,
        )

    def start(self) -> None:
        """As `Worker._serve` does."""
        self.main.create_task(self._or_leave(self._begin))

    async def _begin(self) -> None:
        if self._plan.disk:
            await self._saving.restore(self)
        self._lease = Lease(limit=SESSION / 2, noted=self._clock.now)
        consuming = (self._app.recovery, self._agent, self._guard.linger, self._drain)
        for work in (self._note_lease, self._commits, *consuming, self._mend, self._save, self._follow):
            self.main.create_task(self._or_leave(work))
        self._thread.start()

    def stop(self) -> None:
        """As SIGTERM does."""
        self.main.call_soon_threadsafe(lambda: self.main.create_task(self._or_leave(self._stop)))

    def leave(self, why: str) -> None:
        """Go at once, with nothing more written."""
        if not self.process.dead:
            self._clock.forget(self.process)
            self._on_leave(why)

    async def _stop(self) -> None:
        await self._app.stop()
        await self._thread.leave()
        if self._plan.disk:
            await self._saving.finish()
        self._leave("stopped")

    def _leave(self, why: str) -> NoReturn:
        self.leave(why)
        raise Left

    async def _or_leave(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Left:
            raise
        except Exception as error:  # noqa: BLE001 - Faust stops by itself, and the worker leaves
            self._leave(repr(error))

    async def _drain(self) -> None:
        await self._consumer._drain_messages(self._consumer)

    async def _agent(self) -> None:
        async for message in self._app.events():
            for chunk in message.value:
                if not await self._guard.run(chunk):
                    await self._consumer.rewind(chunk)

    async def _finish(self) -> None:
        await self._guard.finish()

    async def _commits(self) -> None:
        while True:
            await asyncio.sleep(COMMIT)
            await self._consumer.commit()

    def _clicks(self, partition: int) -> list[Record]:
        return self._broker.logs.get((CLICKS, partition), [])

    def _may_write(self) -> None:
        if self._cures.lease and not self._lease.held(self._clock.now):
            self._leave("the lease is lost")

    async def _mend(self) -> None:
        while self._cures.mending:
            await asyncio.sleep(MEND)
            await self._consumer.ends()
            with suppress(Unavailable):
                await self._mender.step()

    async def _save(self) -> None:
        while self._plan.disk:
            await asyncio.sleep(SAVE)
            await self._saving.step()

    async def _on_disk(self, act: Callable[..., Any], *given: Any) -> Any:
        await asyncio.sleep(self._clock.chance.expovariate(1 / DISK))
        return act(*given)

    async def facts(self, _: str) -> Facts:
        """What the saving asks of the log; here it is never made anew."""
        return Facts("", 0.0)

    async def bounds(self, topic: str, partition: int, _: int) -> tuple[int, int]:
        """And never older than its tombstones."""
        return 0, await self._broker.call(self.main, lambda: self._broker.ends.get((topic, partition), 0))

    async def _follow(self) -> None:
        """Read on in the changelogs of others, as standby replicas do."""
        while self._plan.follow:
            await asyncio.sleep(FOLLOW)
            for partition in filter(self._app.follows, range(self._plan.partitions)):
                begin = self._applied(partition) + 1
                records = await self.read(CHANGELOG, partition, begin, begin + 3)
                if self._app.follows(partition):
                    self.store.apply(each for each in records if each.offset > self._applied(partition))

    def _applied(self, partition: int) -> int:
        applied = self.store.applied(partition)
        return -1 if applied is None else applied

    async def read(self, topic: str, partition: int, begin: int, end: int) -> list[Record]:
        """What the mender reads of the log."""
        records = await self._broker.call(self.main, partial(self._broker.read, topic, partition, begin, end - begin))
        return [record for record in records if record.offset < end]

    async def _note_lease(self) -> None:
        while True:
            await asyncio.sleep(NOTE_LEASE)
            self._lease = self._lease.note(self._clock.now)
            if self._cures.lease and self._lease.lost:
                self._leave("the lease is lost")

    async def _recover(self, partitions: set[int], known: dict[TP, int]) -> None:
        """Read each changelog from where it is known to where it ended when this began."""
        places = [TP(CHANGELOG, partition) for partition in sorted(partitions)]
        ends = await self._app.consumer.highwaters(*places)
        self._app.tables.recovery.active_highwaters = {tp: end - 1 for tp, end in ends.items()}
        for tp, end in ends.items():
            while known[tp] + 1 < end:
                act = partial(self._broker.read, *tp, known[tp] + 1, 3)
                records = [record for record in await self._broker.call(self.main, act) if record.offset < end]
                self.store.apply(records)
                known[tp] = records[-1].offset if records else end - 1
        self.store.hold(range(self._plan.partitions) if self._plan.follow else partitions)
