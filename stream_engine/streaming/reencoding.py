"""Items whose vector another model made get one of ours, from what the items topic said of them.

An item's owner decides which model its vector is of: workers of two models in one group do not write over each other's
in turn. While a model is being changed worker by worker, each goes without the vectors of the others' items; when the
last one has changed, all are of its model.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_engine.streaming.chunks import Record
from stream_engine.streaming.mending import Log
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.positions import Partition
from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.rounds import rounds

log = logging.getLogger(__name__)
EVERY = 3.0  # seconds
READ = 500  # records of the items topic at a time
FOUND = 1_000  # items of a partition at a time: what was said of them is held meanwhile
TOGETHER = 16  # items encoded at once; a rebalance, and news of items, wait for them


class Again(Protocol):
    """The stage of the items topic."""

    async def again(self, records: Sequence[Record]) -> list[Outgoing]:
        """The view records of items that are known already, as all that was said of them has it."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """What is ours of the items topic at the time: which partitions, and up to where each is done."""

    topic: str
    partitions: int
    owns: Callable[[int], bool]
    next_of: Callable[[Partition], int | None]

    def partition_of(self, item_id: str) -> int | None:
        """The partition of an item of ours; None for one of others'."""
        partition = partition_of(item_id.encode(), self.partitions)
        return partition if self.owns(partition) else None

    def done(self, partition: int) -> int | None:
        """The next offset to do; None where it is not ours."""
        return self.next_of((self.topic, partition)) if self.owns(partition) else None


class Reencoding:
    """Goes through the items of `foreign` that are ours, for ever; in the turn of the stage that makes new ones."""

    def __init__(
        self,
        catalogue: Again,
        foreign: Collection[str],
        past: Log,
        publisher: Publisher,
        *,
        ours: Ours,
        turn: asyncio.Lock,
        may_write: Callable[[], None],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._catalogue = catalogue
        self._foreign = foreign
        self._past = past
        self._publisher = publisher
        self._ours = ours
        self._turn = turn
        self._may_write = may_write
        self._settled = settled
        self._at_work = False
        self._lost: set[str] = set()  # the topic does not say (any more) what they were made from

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        await rounds(self.step, every=EVERY, log=log, undone="not encoded again")

    async def step(self) -> None:
        """Encode some items of each partition of ours; raises Unavailable, and finds the rest the next time then."""
        due = self._due()
        if self._at_work and not due:
            await self._settled()  # an alias may point to our vectors now
        self._at_work = bool(due)
        for partition, item_ids in due.items():
            if (end := self._ours.done(partition)) is not None:
                said = await self._said(partition, item_ids, end)
                self._note_lost(item_ids - said.keys())
                await self._encode(partition, said, end)

    def _due(self) -> Mapping[int, set[str]]:
        due: defaultdict[int, set[str]] = defaultdict(set)
        for item_id in sorted(self._foreign):
            partition = self._ours.partition_of(item_id)
            if partition is not None and item_id not in self._lost and len(due[partition]) < FOUND:
                due[partition].add(item_id)
        return due

    async def _said(self, partition: int, item_ids: Collection[str], end: int) -> dict[str, list[Record]]:
        """What was said of these items before `end`, in order."""
        said: defaultdict[str, list[Record]] = defaultdict(list)
        for begin in range(0, end, READ):
            for record in await self._past.read(self._ours.topic, partition, begin, min(begin + READ, end)):
                if (item_id := _item_of(record)) in item_ids:
                    said[item_id].append(record)
        return dict(said)

    async def _encode(self, partition: int, said: dict[str, list[Record]], end: int) -> None:
        item_ids = sorted(said)
        for begin in range(0, len(item_ids), TOGETHER):
            async with self._turn:
                if (done := self._ours.done(partition)) is None:
                    return
                for record in await self._past.read(self._ours.topic, partition, end, done) if done > end else ():
                    said.pop(_item_of(record), None)  # news, encoded by our model as they came
                end = done
                await self._publish({each: said[each] for each in item_ids[begin : begin + TOGETHER] if each in said})

    async def _publish(self, said: Mapping[str, Sequence[Record]]) -> None:
        effects = await self._catalogue.again([record for records in said.values() for record in records])
        self._may_write()
        await self._publisher.publish(effects)
        self._note_lost(said.keys() - {(effect.key or b"").decode() for effect in effects})
        log.info("encoded again", extra={"items": len(effects)})

    def _note_lost(self, item_ids: Iterable[str]) -> None:
        if lost := sorted(item_ids):
            self._lost = (self._lost | set(lost)).intersection(self._foreign)  # what left meanwhile is lost no more
            log.warning("not encoded again: announce them anew", extra={"items": len(lost), "first": lost[0]})


def _item_of(record: Record) -> str:
    return (record.key or b"").decode(errors="replace")
