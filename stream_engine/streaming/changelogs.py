"""Which of two records of a changelog to keep. Pure.

The last one, as ever; unless a worker wrote it that had been replaced by then: frozen or cut off with a write on its
way, it puts an old state over what the new owner wrote. States say how far they got, so such a record goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from stream_engine.errors import StreamEngineError

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
    """Lets records of a changelog through but those that go back, and keeps in mind what such a record covers."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.covered: dict[bytes, int] = {}  # keys whose state is newer than their last record, and their partitions

    def takes(self, key: bytes, partition: int, *, found: bytes | None, known: bytes | None) -> bool:
        """Whether the record found is to be applied where this is known; to be asked for every record, in order."""
        if goes_back(found, known, self._marks):
            self.covered[key] = partition
            return False
        self.covered.pop(key, None)
        return True
