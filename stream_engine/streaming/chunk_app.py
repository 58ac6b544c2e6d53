"""A Faust app that consumes some topics in chunks (see consumer.py), and what it knows of its changelogs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NoReturn

import faust
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport
from faust.types import TP

from stream_engine.errors import NewerVersion
from stream_engine.streaming.consumer import ChunkConsumer
from stream_engine.streaming.intake import Intake
from stream_engine.streaming.owners import Token
from stream_engine.streaming.positions import Partition, Positions
from stream_engine.streaming.state_store import StateStore
from stream_engine.streaming.table import BytesTable


class ChunkTransport(FaustTransport):
    """Faust's aiokafka transport with our consumer."""

    Consumer: ClassVar[type[FaustConsumer]] = ChunkConsumer


class ChunkApp(faust.App):
    """A Faust app that consumes some topics in chunks and knows when a chunk is in hand."""

    def __init__(
        self,
        *args: Any,
        chunk_topics: frozenset[str],
        patient: frozenset[str],
        counted: frozenset[str],
        chunk_size: int,
        finish: Callable[[], Awaitable[None]],
        outdated: Callable[[NewerVersion], NoReturn],
        **options: Any,
    ) -> None:
        self.chunk_topics = chunk_topics
        self.chunk_size = chunk_size
        self.patient = patient
        self.counted = counted
        self.positions = Positions()
        self.intake = Intake(time.monotonic)
        self.ends: dict[Partition, int] = {}  # when last asked: a log never shrinks
        self.finish = finish
        self.outdated = outdated
        self.turned_out: Callable[[str], object] = lambda _: None  # told why the group does not know us any more
        self.on_read: Callable[[str, str, int], object] = lambda *_: None  # told of records of changelogs
        super().__init__(*args, Table=BytesTable, **options)

    def take_over(self) -> None:
        """Say who we are: all changelogs of ours were read up to where they ended when this generation began."""
        for tp, last in self.tables.recovery.active_highwaters.items():
            self._states(tp.topic).own(tp.partition, Token(last + 1, self.consumer_generation_id))
        for changelog in self.tables.changelog_topics:
            ours = {tp.partition for tp in self.tables.recovery.active_highwaters if tp.topic == changelog}
            self._states(changelog).keep(ours)

    def note_written(self, topic: str, partition: int, offset: int, count: int = 1) -> None:
        """Records of ours are on a topic: of a changelog, who knows all before them need not read them again."""
        if self.tables.recovery.active_offsets.get(TP(topic, partition)) is not None:
            self._states(topic).note_written(partition, offset, count)

    def ends_of(self, changelog: str) -> dict[int, int]:
        """Where it ended when last asked, by partition, as far as it is ours."""
        return {at: end for (topic, at), end in self.ends.items() if topic == changelog and self.owns(at)}

    def owns(self, partition: int) -> bool:
        """Whether this partition of all topics is ours, and its changelogs were read."""
        ours = all(self.positions.is_ours((topic, partition)) for topic in self.chunk_topics)
        return ours and not self.in_recovery

    def _states(self, changelog: str) -> StateStore:
        states: StateStore = self.tables._changelogs[changelog].states  # noqa: SLF001
        return states

    def recovered(self) -> int:
        """A number that grows as long as records of changelogs are read for tables to recover."""
        return sum(offset or 0 for offset in list(self.tables.recovery.active_offsets.values()))

    def _new_transport(self) -> FaustTransport:
        return ChunkTransport(self.conf.broker_consumer, self)

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        """At a rebalance or stop: let the chunks in hand end, then commit what they did."""
        del logger
        self.positions.close()
        await self.finish()
        if not await asyncio.shield(consumer.commit()):  # it may have waited for one that began with less
            await asyncio.shield(consumer.commit())
