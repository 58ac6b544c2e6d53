"""What the shop says of a user comes after what the user did before.

Users and clicks are two topics, so what comes first is told by the records' timestamps. A record of `users` waits until
the clicks (and joins) of its partition that are stamped no later than itself are done: an erasure takes all of them
with it, and a merge brings all of them along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_engine.streaming.chunks import Record
from stream_engine.streaming.positions import Partition


class Past(Protocol):
    """The port to what topics held before; raises Unavailable."""

    async def place(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """The first record stamped then or later; None where there is none yet."""
        ...

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last record there is to read."""
        ...

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[Record]:
        """What is left of the records from `begin` up to, not with, `end`."""
        ...


@dataclass(frozen=True, slots=True)
class Ordering:
    """Where what comes before a record of `users` ends."""

    past: Past
    clicks: str
    joins: str

    async def due(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        """Up to where clicks and joins must be done before these records are; of one partition. Raises Unavailable."""
        last = max(records, key=_after)
        places: dict[Partition, int] = {}
        for topic in (self.clicks, self.joins):
            place, end = await self.place(topic, last), await self.past.end(topic, last.partition)
            places[topic, last.partition] = end if place is None else min(place, end)  # it may be a transaction's mark
        return places

    async def place(self, topic: str, record: Record) -> int | None:
        """The first offset of the topic that comes after the record; None where there is none yet, or no stamp."""
        return await self.past.place(topic, record.partition, _after(record)) if record.timestamp > 0 else None


def _after(record: Record) -> int:
    """The first stamp of what comes after: what shares a millisecond with a record comes before it."""
    return record.timestamp + 1
