"""A late write of a former owner is the last record of its key: what we hold is written over it.

A recovery keeps such records out of the table (changelogs.py). While a partition is ours they show as gaps between our
own offsets; those are read, nothing else is. Whatever is covered is written again, as it is or as a tombstone, in the
turn of those who write the table, so that neither compaction nor a reader of the topic takes the late record for true.
Writing once too often changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from stream_engine.streaming.changelogs import Sieve
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.gaps import Gaps
from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.rounds import rounds
from stream_engine.streaming.stages import StateTable

log = logging.getLogger(__name__)
EVERY = 3.0  # seconds
AT_ONCE = 100  # keys; those who click wait for it

Shown = Callable[[bytes, bytes | None, int], Awaitable[Sequence[Outgoing]]]
"""What else is to be published of a key, its value and partition; raises Unavailable."""


class Mended(StateTable, Protocol):
    """A table that knows what covers it."""

    sieve: Sieve
    gaps: Gaps

    @property
    def changelog(self) -> str:
        """The topic where its records are."""
        ...

    def look(self, record: Record) -> None:
        """Take note of a record that came between ours."""
        ...


class Changelogs(Protocol):
    """What an app knows of its changelogs."""

    def owns(self, partition: int) -> bool:
        """Whether the partition is ours, and all of its changelog was read."""
        ...

    def ends_of(self, changelog: str) -> Mapping[int, int]:
        """Where it ended when last asked (see watching.py), by partition, as far as it is ours."""
        ...


class Log(Protocol):
    """What a topic held."""

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[Record]:
        """What is left of the records from `begin` up to, not with, `end`; raises Unavailable."""
        ...


async def nothing(_key: bytes, _value: bytes | None, _partition: int) -> Sequence[Outgoing]:
    """Where the record itself is all."""
    return ()


class Mender:
    """Writes back what late writes cover of one table, as far as it is ours at the time."""

    def __init__(
        self,
        table: Mended,
        changelogs: Changelogs,
        past: Log,
        publisher: Publisher,
        *,
        turn: asyncio.Lock,
        may_write: Callable[[], None],
        count: Callable[[int], object] = lambda _: None,
        shown: Shown = nothing,
    ) -> None:
        self._table = table
        self._changelogs = changelogs
        self._past = past
        self._publisher = publisher
        self._turn = turn
        self._may_write = may_write
        self._count = count
        self._shown = shown

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        await rounds(self.step, every=EVERY, log=log, undone="not mended", changelog=self._table.changelog)

    async def step(self) -> None:
        """Find what is covered and write it again; raises Unavailable, and finds it again the next time then."""
        table = self._table
        ends = self._changelogs.ends_of(table.changelog)
        async with self._turn:  # nothing of ours is on its way, so what we do not know is not ours
            for partition, end in ends.items():
                table.gaps.note_end(partition, end)
        for gap in list(table.gaps.open):
            records = await self._past.read(table.changelog, *gap)
            if gap in table.gaps.open:  # else all was read again in the meantime
                table.gaps.open.remove(gap)
                for record in records:
                    table.look(record)
        async with self._turn:
            await self._write_back()

    async def _write_back(self) -> None:
        covered = self._table.sieve.covered
        due = [(key, partition) for key, partition in covered.items() if self._changelogs.owns(partition)][:AT_ONCE]
        if not due:
            return
        records: list[Outgoing] = []
        for key, partition in due:
            value = self._table.read(key, partition)
            records.append(self._table.write(key, value, partition))
            records += await self._shown(key, value, partition)
        self._may_write()
        await self._publisher.publish(records)
        for key, _ in due:
            covered.pop(key, None)
        self._count(len(due))
        log.warning("mended", extra={"changelog": self._table.changelog, "records": len(due)})
