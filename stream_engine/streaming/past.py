"""What topics held before: looked up and read again, outside any group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_engine.errors import Unavailable
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.admin import Facts, facts_of
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.clients import client_options

POLL_MS = 200
LOOKED_AT = 100  # offsets at the end of a log, for a record among them


class KafkaPast:
    """One consumer of its own, which holds no partition but while it reads, one at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._reading = asyncio.Lock()
        self._consumer = AIOKafkaConsumer(
            **client_options(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )

    async def start(self) -> None:
        """Connect; raises Unavailable."""
        async with _broker():
            await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def place(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """The first record stamped then or later; None where there is none yet; raises Unavailable."""
        where = TopicPartition(topic, partition)
        async with _broker():
            found = (await self._consumer.offsets_for_times({where: timestamp_ms}))[where]
        return None if found is None else int(found.offset)

    async def facts(self, topic: str) -> Facts:
        """What the broker says of the topic itself; raises Unavailable."""
        return await asyncio.to_thread(facts_of, self._settings, topic)

    async def bounds(self, topic: str, partition: int, since_ms: int) -> tuple[int, int]:
        """The first record stamped then or later (the end, where there is none), and the end; raises Unavailable."""
        where = TopicPartition(topic, partition)
        async with _broker():
            end = int((await self._consumer.end_offsets([where]))[where])
        begin = await self.place(topic, partition, since_ms)
        return end if begin is None else begin, end

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last record there is to read; raises Unavailable.

        The end of a log may be the mark of a transaction, or what retention has taken: nobody will ever read up to it.
        """
        where = TopicPartition(topic, partition)
        async with _broker():
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets([where])
        left = await self.read(topic, partition, max(ends[where] - LOOKED_AT, 0), ends[where])
        return left[-1].offset + 1 if left else 0

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[Record]:
        """What is left of the records from `begin` up to, not with, `end`; raises Unavailable."""
        where = TopicPartition(topic, partition)
        records: list[Record] = []
        async with self._reading, _broker():
            self._consumer.assign([where])
            try:
                self._consumer.seek(where, begin)
                while await self._consumer.position(where) < end:
                    for found in (await self._consumer.getmany(timeout_ms=POLL_MS)).values():
                        records += found
            finally:
                self._consumer.assign([])  # `unsubscribe` ends the fetcher of aiokafka 0.14 for good
        return [record for record in records if record.offset < end]


@asynccontextmanager
async def _broker() -> AsyncIterator[None]:
    try:
        yield
    except KafkaError as error:
        raise Unavailable("broker", repr(error)) from error
