"""Which record is next: our own account of offsets, because Faust's steps over records (see consumer.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Partition = tuple[str, int]
"""Topic and partition number."""


@dataclass(frozen=True, slots=True)
class Span:
    """What one chunk claims to be: the records from `after` (None: the log's beginning) up to, not with, `end`."""

    partition: Partition
    epoch: int
    after: int | None
    end: int


@dataclass(slots=True)
class _Place:
    epoch: int
    started: int | None
    next: int | None
    handed: int | None


class Positions:
    """Per partition we own: the next offset to process, and where the last chunk handed over ends.

    A chunk is a link of a chain: it may be processed only if it continues exactly where processing stands, so a
    chunk that Faust drops on the way can never be stepped over. An epoch begins whenever the consumer goes back to
    the committed offsets; links of an older epoch are void.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._places: dict[Partition, _Place] = {}

    def start(self, committed: Mapping[Partition, int | None]) -> None:
        """Begin an epoch: each partition continues at its committed offset, or (None) at its beginning."""
        self.epoch += 1
        for partition, offset in committed.items():
            self._places[partition] = _Place(self.epoch, offset, offset, offset)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop what we no longer own; spans in flight of it become void."""
        self.epoch += 1
        for partition in partitions:
            self._places.pop(partition, None)

    def hand_over(self, partition: Partition, end: int) -> Span | None:
        """Take note that the records up to `end` leave the consumer; None if we do not own the partition."""
        place = self._places.get(partition)
        if place is None:
            return None
        span = Span(partition, place.epoch, place.handed, end)
        place.handed = end
        return span

    def is_current(self, span: Span) -> bool:
        """Whether the span belongs to the present epoch of a partition we own."""
        place = self._places.get(span.partition)
        return place is not None and place.epoch == span.epoch

    def is_next(self, span: Span) -> bool:
        """Whether processing stands exactly where the span begins."""
        return self.is_current(span) and self._places[span.partition].next == span.after

    def done(self, span: Span) -> bool:
        """Move on to the span's end once all its effects are on the broker; False (and no move) if it is void."""
        if not self.is_next(span):
            return False
        self._places[span.partition].next = span.end
        return True

    def undelivered(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        """Where the consumer must seek when it fetched records of these but could not hand them over."""
        return {partition: self._places[partition].handed for partition in partitions if partition in self._places}

    def rewind(self, partition: Partition) -> dict[Partition, int | None]:
        """Where the consumer must seek after a chunk got lost on its way: what is next will be handed over again."""
        place = self._places.get(partition)
        if place is None:
            return {}
        place.handed = place.next
        return {partition: place.next}

    def committable(self) -> dict[Partition, int]:
        """The next offset of each partition that moved in this epoch."""
        return {
            partition: place.next
            for partition, place in self._places.items()
            if place.next is not None and place.next != place.started
        }

    def next_of(self, partition: Partition) -> int | None:
        """The next offset to process; None when unknown."""
        place = self._places.get(partition)
        return None if place is None else place.next

    def owned(self) -> frozenset[Partition]:
        """The partitions we own."""
        return frozenset(self._places)
