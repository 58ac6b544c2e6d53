"""The few overrides of Faust, each for a reason measured on a real broker.

- Chunks: one message carries all records one fetch brought for the partitions of a topic. Faust's tasks, locks and
  queues per message are then paid once a fetch (6 x cheaper).
- One task for all that a poll brought: Faust makes four for every message, which the others then wait for.
- Own positions: what is committed comes from `Positions`, not from Faust's ack lists, whose gap logic and off-by-one
  step over records at a rebalance. Records that were fetched but may not be delivered are sought again.
- No thread of its own for the client (membership.py): half the time to a list.
- Polled ahead: aiokafka asks for more only once all it has was taken, and while clicks are handled nobody takes it.
- Back-pressure per partition: what has many chunks in hand is not fetched. Faust's own pauses a partition when the
  queue of its topic is full, and may let it starve.
- Changelogs are applied fetch by fetch (recovering.py): a recovery record by record keeps users waiting.
- A rebalance or a stop waits for the chunk in hand, so that nothing of ours is written after the next owner reads.
- Table writes go to the producer with everything else a chunk says, not through Faust's send per key (see table.py).

`tests/unit/test_faust_overrides.py` fails when what we override changes upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from stream_engine.streaming.chunks import Chunk, Record
from stream_engine.streaming.membership import Member
from stream_engine.streaming.positions import Partition, Positions, Span
from stream_engine.streaming.recovering import take

if TYPE_CHECKING:
    from stream_engine.streaming.chunk_app import ChunkApp

CHUNKS_IN_HAND = 4  # of a partition; more are left on the broker
COUNTED_IN_HAND = 32  # of what is counted together: the more, the fewer records come of it
LONGEST_POLL = 0.1  # seconds; which partitions may be fetched is looked at before each

Polled = tuple[int, Any]
"""The epoch in which a poll began, and what Faust says of it: records by partition, and which are active."""


class ChunkConsumer(FaustConsumer):
    """Hands over chunks of our topics, and of changelogs how far they are applied."""

    app: ChunkApp
    _thread: Member
    _polling: asyncio.Task[Polled] | None = None  # what comes next

    def _new_consumer_thread(self) -> Member:
        return Member(self, loop=self.loop, beacon=self.beacon)

    @property
    def positions(self) -> Positions:
        """Our account of offsets, owned by the app."""
        return self.app.positions

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                messages = [message async for _, message in self.getmany(1.0)]
                if messages:
                    await self.wait_first(self._deliver(messages), self.suspend_flow.wait())
                else:
                    await asyncio.sleep(0)  # it may not have waited for anything
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.transport.app.should_stop:
                raise

    async def _deliver(self, messages: Iterable[ConsumerMessage]) -> None:
        for message in messages:
            await self.callback(message)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Yield one message a topic, of chunks (a changelog: a fetch); what may not be delivered is sought again.

        While chunks are being delivered the next records are waited for already: aiokafka asks the broker for more only
        once all it has was taken. Not while a changelog is read, and not if anything has to be sought again.
        """
        polling, self._polling = self._polling or self._begin_poll(timeout), None
        epoch, (batches, active) = await polling
        if not batches or self.should_stop:
            return
        for tp in [tp for tp in batches if tp.topic not in self.app.chunk_topics]:  # changelogs
            records = batches.pop(tp)
            if not self.flow_active:
                return
            if purpose := take(self.app.tables.recovery, tp, records):
                self.app.on_read(tp.topic, purpose, len(records))
                yield tp, self._to_message(tp, records[-1])
        chunks, undelivered = self._handed_over(batches, active, epoch)
        if not undelivered and not self.app.in_recovery:
            self._polling = self._begin_poll(timeout)
        for together in _by_topic(chunks):
            tp = TP(*together[0].span.partition)
            yield tp, self._chunks_message(tp, together)
        if undelivered:
            await self._seek_back(self.positions.undelivered(undelivered))

    def _begin_poll(self, timeout: float) -> asyncio.Task[Polled]:
        poll = asyncio.ensure_future(self._poll(self.positions.epoch, timeout))
        poll.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may end when nobody waits
        return poll

    async def _poll(self, epoch: int, timeout: float) -> Polled:  # noqa: ASYNC109
        return epoch, await self._wait_next_records(timeout)

    def _handed_over(
        self, batches: Mapping[TP, list[Record]], active: set[TP], epoch: int
    ) -> tuple[list[Chunk], set[TP]]:
        """What was fetched in an epoch in chunks, and the partitions of which some may not be delivered."""
        chunks, undelivered = [], set()
        deliverable = (active | self._buffered_partitions) if self.flow_active else set()
        for tp, records in batches.items():
            for part in self._parts(self._not_handed_over(tp, records)):
                span = self._hand_over(tp, part, epoch) if tp in deliverable else None
                if span is None:
                    undelivered.add(tp)
                    break
                chunks.append(Chunk(span, part))
        return chunks, undelivered

    def _not_handed_over(self, tp: TP, records: list[Record]) -> list[Record]:
        """All, as a rule; a click that came once more would be applied after what erased it.

        A fetch that does not reach what is next is of a log that was cut or made anew: it is taken as it is.
        """
        begin = self.positions.handed((tp.topic, tp.partition))
        if records[0].offset < begin <= records[-1].offset:
            return [each for each in records if each.offset >= begin]
        return records

    def _parts(self, records: list[Record]) -> Iterator[tuple[Record, ...]]:
        size = self.app.chunk_size
        return (tuple(records[begin : begin + size]) for begin in range(0, len(records), size))

    def _hand_over(self, tp: TP, part: tuple[Record, ...], epoch: int) -> Span | None:
        return self.positions.hand_over((tp.topic, tp.partition), part[-1].offset + 1, since=epoch)

    def _chunks_message(self, tp: TP, chunks: Sequence[Chunk]) -> ConsumerMessage:
        message = self._to_message(tp, chunks[0].records[0])
        message.key, message.value, message.headers = None, chunks, []
        return message

    async def rewind(self, chunk: Chunk) -> None:
        """Have what comes next handed over again, after a chunk before this one got lost on its way."""
        places = self.positions.rewind(chunk.span.partition)
        epoch = self.positions.epoch
        if await self._seek_back(places):
            self.positions.open(epoch)

    async def _seek_back(self, places: Mapping[Partition, int]) -> bool:
        owned = {TP(*partition): offset for partition, offset in places.items() if TP(*partition) in self.assignment()}
        if not owned or not self.flow_active:
            return False  # the rebalance under way starts from the committed offsets anyway
        await self.seek_wait(owned)
        return True

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109
        if self.flow_active and not self._get_active_partitions():
            await self.sleep(LONGEST_POLL)  # Faust's own would sleep for a second, and recovery would wait for it
            return {}, set()
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        known = {
            tp
            for tp in active_partitions or ()
            if tp.topic not in self.app.chunk_topics
            or self.positions.may_fetch((tp.topic, tp.partition), at_most=self._in_hand(tp.topic))
        }
        if not known:
            await self.sleep(0.01)
            return {}
        return await super()._getmany(known, min(timeout, LONGEST_POLL))

    def _in_hand(self, topic: str) -> int:
        """How many records of a partition there may be."""
        chunks = COUNTED_IN_HAND if topic in self.app.counted else CHUNKS_IN_HAND
        return chunks * self.app.chunk_size

    async def ends(self) -> dict[Partition, int]:
        """Where the log ends, of every partition we own and of its changelogs; the broker is asked in any case."""
        tables = self.app.tables
        owned = [TP(*partition) for partition in self.positions.finished()] + list(tables.recovery.active_offsets)
        found = await self.highwaters(*(owned or [TP(topic, 0) for topic in tables.changelog_topics]))
        self.app.ends = {(tp.topic, tp.partition): end for tp, end in found.items() if end is not None}
        return self.app.ends

    def failure(self) -> str | None:
        """What ended our part in the group for good."""
        return self._thread.failure()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Begin an epoch at the committed offsets (where there is none: at the beginning of the log).

        The seek comes between `start` and `open`: a fetch that began before is sought back to where the epoch
        starts, and no other can begin until the consumer stands there. The commit proves that the generation in which
        the ends of our changelogs were read was not over by then: no later owner can have read them before us.
        """
        offsets: dict[TP, int] = dict(await super().seek_to_committed())
        ours = {tp: offset for tp, offset in offsets.items() if tp.topic in self.app.chunk_topics}
        unknown = [tp for tp, offset in ours.items() if offset is None or offset < 0]
        ours |= await self.earliest_offsets(*unknown) if unknown else {}
        self.positions.start({(tp.topic, tp.partition): offset for tp, offset in ours.items()})
        epoch = self.positions.epoch
        if ours:
            if not await self._is_member(ours):
                return offsets  # another generation has begun, and this is done again
            self.app.take_over()
            await self.seek_wait(ours)
        self.positions.open(epoch)
        return offsets

    async def _is_member(self, offsets: Mapping[TP, int]) -> bool:
        """Whether the group takes these offsets again; it would of nobody who is a member no more."""
        taken: bool = await super()._commit(offsets)
        return taken

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish the chunk in hand (see ChunkApp), then forget what is revoked."""
        await super().on_partitions_revoked(revoked)
        self.positions.forget((tp.topic, tp.partition) for tp in revoked)

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        return (
            TP(*partition)
            for partition in self.positions.committable()
            if topics is None or TP(*partition) in topics or partition[0] in topics
        )

    def _new_offset(self, tp: TP) -> int | None:
        return self.positions.committable().get((tp.topic, tp.partition))

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return self._new_offset(tp) == offset  # Faust's account takes what the broker refused for committed

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        epoch = self.positions.epoch
        did_commit: bool = await super()._commit(offsets)
        if did_commit:
            self.positions.committed(offsets, epoch=epoch)
        return did_commit

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are part of a chunk's span; Faust's own account of them is not used."""


def _by_topic(chunks: Iterable[Chunk]) -> Iterable[Sequence[Chunk]]:
    """In order, those of one topic together."""
    topics: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        topics.setdefault(chunk.span.partition[0], []).append(chunk)
    return topics.values()
