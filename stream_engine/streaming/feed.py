"""The item view's feed: a consumer without a group reads the compacted topics in every worker, from the beginning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_engine.errors import NewerVersion, PoisonEvent, Unavailable
from stream_engine.giving_way import Spare
from stream_engine.index.protocol import Point
from stream_engine.index.resilient import ResilientIndex
from stream_engine.items.record import CatalogueRecord, decode_record
from stream_engine.items.view import ItemView
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.stages import points

log = logging.getLogger(__name__)
Apply = Callable[[bytes, bytes | None], None]
SLICE = 50  # points that an index which lost them is given at once
AT_ONCE = 64  # records taken out of a fetch at once, once there is somebody to give way to


class ViewWriter:
    """Applies catalogue records to the view, and keeps the index at what the view holds.

    An index of this worker's own gets every record; one that workers share gets new items from the items' owner, and
    from here only what it lost. What is left to do while it is away is no more than it may hold or the view does.
    """

    def __init__(self, view: ItemView, index: ResilientIndex, *, shared: bool) -> None:
        self._view = view
        self._index = index
        self._shared = shared
        self._recoveries = index.recoveries
        self._put: dict[str, CatalogueRecord] = {}
        self._new: set[str] = set()  # of these, what the index has never been given
        self._gone: set[str] = set()
        self.whole = False  # whether all there was at the start has been applied: what the view lacks is new from then
        self.foreign: set[str] = set()  # items whose vector another model made: here they have none
        self.newer: dict[str, NewerVersion] = {}  # items whose record a later version wrote: not to be written over

    def catalogue(self, key: bytes, value: bytes | None) -> None:
        """One record of the item-state topic; null takes the item out."""
        item_id = key.decode()
        if value is None:
            self._remove(item_id)
            return
        try:
            record = decode_record(value)
        except NewerVersion as newer:
            self.newer[item_id] = newer
            self.foreign.discard(item_id)
            raise
        self.newer.pop(item_id, None)
        if record.vector is not None and record.fingerprint != self._view.fingerprint:
            self._note_foreign(item_id, record.fingerprint)
        else:
            self.foreign.discard(item_id)
        if not self._shared:
            if not self._may_be_indexed(item_id):
                self._new.add(item_id)
            self._put[item_id] = record
        self._gone.discard(item_id)
        self._view.put(record)

    def _remove(self, item_id: str) -> None:
        if not self._shared and self._may_be_indexed(item_id):
            self._gone.add(item_id)
        self._put.pop(item_id, None)
        self._new.discard(item_id)
        self.foreign.discard(item_id)
        self.newer.pop(item_id, None)
        self._view.remove(item_id)

    def _may_be_indexed(self, item_id: str) -> bool:
        """Whether the index may hold the item: one on disk may hold what it was given before this worker started."""
        given = item_id in self._view and item_id not in self._new
        return given or item_id in self._gone or not self.whole

    def is_announced(self, item_id: str) -> bool:
        """Whether the catalogue holds the item, even if only a later version can read its record."""
        return item_id in self._view or item_id in self.newer

    def _note_foreign(self, item_id: str, fingerprint: str) -> None:
        if not self.foreign:
            log.warning("another model", extra={"item": item_id, "theirs": fingerprint, "ours": self._view.fingerprint})
        self.foreign.add(item_id)

    def statistics(self, key: bytes, value: bytes | None) -> None:
        """One record of the statistics' changelog; null forgets them."""
        if value is None:
            self._view.forget_statistics(key.decode())
        else:
            self._view.put_encoded(key.decode(), value)

    async def index(self) -> None:
        """Bring the index up to what was applied; raises Unavailable and keeps what is left to do."""
        if not self._index.available:
            await self._index.ensure()  # so that it comes back without a click
        if self._index.recoveries != self._recoveries:
            recoveries = self._index.recoveries
            await self._refill()
            self._recoveries = recoveries
        await self._follow()
        self._put.clear()
        self._gone.clear()

    async def _follow(self) -> None:
        if self._index.available:
            self._new.clear()  # even if it fails, it may hold some of them by then
        fresh = points(record for record in self._put.values() if record.fingerprint == self._view.fingerprint)
        if fresh:
            await self._index.upsert(fresh)
        if self._gone:
            await self._index.delete(sorted(self._gone))

    async def _refill(self) -> None:
        """An index that came back may have lost what it held: give it all the view knows."""
        rows = [row for row in self._view.all_rows().tolist() if self._view.columns.has_vector[row]]
        if await self._index.count() >= len(rows):
            return
        log.warning("refill the index", extra={"items": len(rows)})
        for begin in range(0, len(rows), SLICE):
            await self._index.upsert(self._points(rows[begin : begin + SLICE]))

    def _points(self, rows: list[int]) -> list[Point]:
        view = self._view
        vectors = view.vectors(np.array(rows))
        return [
            Point(view.ids[row], vector, bool(view.columns.shown[row]), view.categories[row])
            for row, vector in zip(rows, vectors, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A compacted topic, and what is done with each of its records."""

    topic: str
    apply: Apply


class Feed:
    """Reads every partition of some compacted topics for ever; `caught_up` once it has seen what was there at start.

    At first one topic after the other: statistics mention items, which the view has to know by then.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        subscriptions: Iterable[Subscription],
        after: Callable[[], object],
        spare: Spare,
    ) -> None:
        self._spare = spare
        self._apply = {each.topic: each.apply for each in subscriptions}
        self._after = after
        self._consumer = AIOKafkaConsumer(
            **client_options(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._partitions = settings.partitions
        self._away = False  # what `after` needs; that is said once
        self.caught_up = asyncio.Event()
        self.newer: dict[str, NewerVersion] = {}  # by topic, what only a later version of us can read

    async def run(self) -> None:
        """Start and read until cancelled."""
        await self._consumer.start()
        try:
            places = {topic: [TopicPartition(topic, each) for each in range(self._partitions)] for topic in self._apply}
            everything = [place for found in places.values() for place in found]
            self._consumer.assign(everything)
            await self._consumer.seek_to_beginning(*everything)
            self._consumer.pause(*everything)
            for found in places.values():
                ends = await self._consumer.end_offsets(found)
                self._consumer.resume(*found)
                while not await self._reached(ends):
                    await self._read()
            self.caught_up.set()
            while True:
                await self._read()
        finally:
            await self._consumer.stop()

    async def _reached(self, ends: dict[TopicPartition, int]) -> bool:
        return all([await self._consumer.position(partition) >= end for partition, end in ends.items()])

    async def _read(self) -> None:
        if self.caught_up.is_set():
            batches = await self._consumer.getmany(timeout_ms=200, max_records=AT_ONCE)
        else:
            batches = await self._consumer.getmany(timeout_ms=20)
        if batches:
            await self._take_all(batches)
        try:
            result = self._after()
            if asyncio.iscoroutine(result):
                await result
        except Unavailable as away:
            if not self._away:
                log.warning("index away", extra={"reason": away.reason})
            self._away = True
        else:
            if self._away:
                log.info("index back")
            self._away = False

    async def _take_all(self, batches: Mapping[TopicPartition, Sequence[Record]]) -> None:
        async with self._spare.share() as share:
            for partition, records in batches.items():
                for record in records:
                    self._take(self._apply[partition.topic], record)
                    await share.keep()

    def _take(self, apply: Apply, record: Record) -> None:
        try:
            apply(record.key or b"", record.value)
        except NewerVersion as newer:
            if record.topic not in self.newer:  # said once: in a rolling upgrade there are many
                log.error("newer", extra={"topic": record.topic, "offset": record.offset, "reason": str(newer)})  # noqa: TRY400
                self.newer[record.topic] = newer.on(record.topic)
        except (PoisonEvent, ValueError):
            log.exception("unreadable record", extra={"topic": record.topic, "offset": record.offset})
