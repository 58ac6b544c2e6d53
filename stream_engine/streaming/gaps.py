"""What somebody else wrote to a changelog while we own it: the gaps between our own offsets. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Gap(NamedTuple):
    """Offsets of a changelog partition of ours that we neither read nor wrote."""

    partition: int
    begin: int
    end: int


class Gaps:
    """Keeps account, by partition, of the next offset there will be if nobody else writes."""

    def __init__(self) -> None:
        self.open: list[Gap] = []  # not looked into yet
        self._next: dict[int, int] = {}

    def begin(self, partition: int, end: int) -> None:
        """The partition is ours, and all of its changelog up to this end was read."""
        self.open = [gap for gap in self.open if gap.partition != partition]
        self._next[partition] = end

    def keep(self, partitions: Collection[int]) -> None:
        """Only these are ours."""
        self.open = [gap for gap in self.open if gap.partition in partitions]
        self._next = {partition: end for partition, end in self._next.items() if partition in partitions}

    def note_end(self, partition: int, end: int) -> None:
        """It ends here, and all we wrote was noted: what lies between is a gap."""
        expected = self._next.get(partition, end)
        if expected < end:
            self.open.append(Gap(partition, expected, end))
            self._next[partition] = end

    def note_written(self, partition: int, offset: int, count: int = 1) -> None:
        """So many records of ours are there from this offset on."""
        self.note_end(partition, offset)
        self._next[partition] = max(self._next.get(partition, 0), offset + count)
