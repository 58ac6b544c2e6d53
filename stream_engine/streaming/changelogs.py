"""Which records of a changelog to keep. Pure.

The last one of a key, as ever; unless a worker wrote it that had been replaced by then: frozen or cut off with a write
on its way, it puts an old state over what the new owner wrote, or brings back what the new owner deleted. Records say
who wrote them, and so which are late (see owners.py). A record of a version that did not say so is judged by its
state: states say how far they got, and it must not go back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping

from stream_engine.errors import StreamEngineError
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.owners import Owners, token_of

Marks = Callable[[bytes], Mapping[Hashable, int]]
"""How far a stored state got, by source; raises StreamEngineError for bytes that are no such state."""


def goes_back(found: bytes | None, known: bytes | None, marks: Marks) -> bool:
    """Whether the record found is behind the state known in some source, and ahead of it in none."""
    if found is None or known is None or found == known:
        return False
    try:
        now, before = marks(found), marks(known)
    except StreamEngineError:
        return False  # not for us to judge
    behind = any(now.get(source, -1) < place for source, place in before.items())
    return behind and not any(before.get(source, -1) < place for source, place in now.items())


class Sieve:
    """Lets records of a changelog through but late ones, and keeps in mind what such a record covers."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.owners = Owners()
        self.covered: dict[bytes, int] = {}  # keys whose last record is not what we know, and their partitions

    def takes(self, record: Record, known: bytes | None) -> bool:
        """Whether the record is to be applied where this is known; to be asked for every record, in order."""
        key = record.key or b""
        if self._is_late(record, known):
            self.covered[key] = record.partition
            return False
        self.covered.pop(key, None)
        return True

    def keep(self, partitions: Collection[int]) -> None:
        """Only these are ours; whoever has the others finds what is covered there."""
        self.covered = {key: partition for key, partition in self.covered.items() if partition in partitions}

    def _is_late(self, record: Record, known: bytes | None) -> bool:
        token = token_of(record.headers, record.offset)
        if token is None:
            return goes_back(record.value, known, self._marks)
        self.owners.note(record.partition, token)
        return self.owners.is_late(record.partition, record.offset, token)
