"""Which record is next: our own account of offsets, because Faust's steps over records (see consumer.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Partition = tuple[str, int]
"""Topic and partition number."""


@dataclass(frozen=True, slots=True)
class Span:
    """What one chunk claims to be: all records from `after` up to, not with, `end`."""

    partition: Partition
    epoch: int
    turn: int
    after: int
    end: int


@dataclass(slots=True)
class _Place:
    epoch: int
    turn: int
    committed: int
    finished: int
    accepted: int
    handed: int


class Positions:
    """Per partition we own, in rising order of time: where records are committed, finished, accepted, handed over.

    A chunk is a link of a chain: it may be processed only if it continues exactly where processing stands, so a
    chunk that Faust drops on the way can never be stepped over. An epoch begins whenever the consumer goes back to
    the committed offsets; links of an older epoch are void. Within an epoch a turn begins whenever a partition is
    rewound: what an older turn handed over comes again. `epoch` counts both, so whoever fetches sees either begin.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._places: dict[Partition, _Place] = {}
        self._open: frozenset[Partition] = frozenset()
        self._closed = False

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Begin an epoch: each partition continues at its offset, once the consumer has sought there (`open`)."""
        self.epoch += 1
        self._open = frozenset()
        self._closed = False
        self._places = {
            partition: _Place(self.epoch, self.epoch, offset, offset, offset, offset)
            for partition, offset in offsets.items()
        }

    def open(self, epoch: int) -> None:
        """Let records be fetched: the consumer stands where the `start` or `rewind` that began this epoch said."""
        self._open |= {partition for partition, place in self._places.items() if place.turn == epoch}

    def close(self) -> None:
        """Accept nothing more before the next epoch: a rebalance or a stop has begun."""
        self._closed = True

    def is_ours(self, partition: Partition) -> bool:
        """Whether the partition's records may be applied now: it is open, and no rebalance or stop has begun."""
        return not self._closed and partition in self._open

    def may_fetch(self, partition: Partition, *, at_most: int = 1 << 62) -> bool:
        """Whether the consumer stands at a place we know, and fewer than `at_most` offsets are in hand."""
        if partition not in self._open:
            return False
        place = self._places[partition]
        return place.handed - place.finished < at_most

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop what we no longer own; spans in flight of it become void."""
        self.epoch += 1
        for partition in partitions:
            self._places.pop(partition, None)
        self._open = self._open & frozenset(self._places)

    def hand_over(self, partition: Partition, end: int, *, since: int) -> Span | None:
        """Take note that the records up to `end` leave the consumer, to be called for every chunk in order.

        None if they may not: we do not own the partition, or an epoch began after the fetch did (at `since`), so that
        they need not be what comes next.
        """
        place = self._places.get(partition)
        if place is None or since != self.epoch:
            return None
        span = Span(partition, place.epoch, place.turn, place.handed, end)
        place.handed = end
        return span

    def handed(self, partition: Partition) -> int:
        """The next offset to hand over; 0 when unknown."""
        place = self._places.get(partition)
        return 0 if place is None else place.handed

    def is_current(self, span: Span) -> bool:
        """Whether the span belongs to the present epoch of a partition we own."""
        place = self._places.get(span.partition)
        return place is not None and place.epoch == span.epoch

    def accept(self, span: Span) -> bool:
        """Take the span in hand if it begins exactly where the last one accepted ended."""
        if not self._is_live(span) or self._places[span.partition].accepted != span.after:
            return False
        self._places[span.partition].accepted = span.end
        return True

    def is_behind_a_loss(self, span: Span) -> bool:
        """Whether what came before the span got lost on its way, so that all from there on must come again."""
        return self._is_live(span) and self._places[span.partition].accepted < span.after

    def _is_live(self, span: Span) -> bool:
        return not self._closed and self.is_current(span) and self._places[span.partition].turn == span.turn

    def done(self, span: Span) -> bool:
        """Move on to the span's end once all its effects are on the broker; False (and no move) if it is void."""
        if not self.is_current(span) or self._places[span.partition].finished != span.after:
            return False
        self._places[span.partition].finished = span.end
        return True

    def undelivered(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where the consumer must seek when it fetched records of these but could not hand them over."""
        return {partition: self._places[partition].handed for partition in partitions if partition in self._places}

    def rewind(self, partition: Partition) -> dict[Partition, int]:
        """Where the consumer must seek, after a chunk got lost on its way, before `open` begins another turn."""
        place = self._places.get(partition)
        if place is None:
            return {}
        self.epoch += 1
        self._open -= {partition}
        place.turn = self.epoch
        place.handed = place.accepted
        return {partition: place.accepted}

    def give_up(self, span: Span) -> None:
        """Put an accepted span (and all after it) back: what follows is refused until the consumer sought there."""
        if self.is_current(span):
            self._places[span.partition].accepted = self._places[span.partition].finished

    def committable(self) -> dict[Partition, int]:
        """The next offset of each partition where it is not the committed one."""
        return {
            partition: place.finished for partition, place in self._places.items() if place.finished > place.committed
        }

    def committed(self, offsets: Mapping[Partition, int], *, epoch: int) -> None:
        """Take note that the broker took these offsets, sent when `epoch` was the present one."""
        for partition, offset in offsets.items():
            place = self._places.get(partition)
            if place is not None and place.epoch <= epoch:
                place.committed = max(place.committed, offset)

    def next_of(self, partition: Partition) -> int | None:
        """The next offset to process; None when unknown."""
        place = self._places.get(partition)
        return None if place is None else place.finished

    def finished(self) -> dict[Partition, int]:
        """The next offset to finish, of every partition we own."""
        return {partition: place.finished for partition, place in self._places.items()}

    def waiting(self) -> dict[Partition, int]:
        """The next offset to fetch, of every partition with nothing in hand: where only the fetch can stand still."""
        return {partition: place.handed for partition, place in self._places.items() if place.handed == place.finished}

    def owned(self) -> frozenset[Partition]:
        """The partitions we own."""
        return frozenset(self._places)
