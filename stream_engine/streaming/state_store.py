"""What a worker holds of a table: its partitions, each with how far its changelog is in it. Pure.

Some partitions are ours to write, others may be followed by reading their changelogs (standby replicas). Either way a
partition says up to which record it needs no more reading, so whoever gets it goes on from there. It may hold more than
that: what we wrote and the broker never took. Whoever owns the partition then gets the same clicks again, and writes
what is to be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from stream_engine.streaming.changelogs import Marks, Sieve
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.gaps import Gaps
from stream_engine.streaming.owners import OWNER, Token, encode_token
from stream_engine.streaming.publisher import Outgoing
from stream_engine.versions import refuse_newer


@dataclass(slots=True)
class _Held:
    """Of one partition: values, and the last record of its changelog that is in them with all before it.

    And what of that is not saved: these keys; all there is until a first part was asked for (`anew`); how far it was
    when last `told`.
    """

    values: dict[bytes, bytes] = field(default_factory=dict)
    applied: int = -1
    unsaved: set[bytes] = field(default_factory=set)
    anew: bool = True
    told: int | None = None


class Saved(NamedTuple):
    """What is saved of a partition, or changed since: None for what was deleted. `anew`: nothing before it counts.

    `applied` is the last record that need not be read again; None where that is as before, or all must be. The values
    may be ahead of it: to read again what is in them already ends where they are.
    """

    values: Mapping[bytes, bytes | None]
    applied: int | None
    owners: Sequence[Token]
    anew: bool = False


class StateStore:
    """A partitioned table of bytes; its changelog records are the caller's to publish."""

    def __init__(self, changelog: str, marks: Marks, *, version: int, saved: bool = False) -> None:
        self.changelog = changelog
        self.version = version  # the latest we can read of what it holds
        self.sieve = Sieve(marks)
        self.gaps = Gaps()
        self._saved = saved  # whether somebody asks what changed
        self._held: dict[int, _Held] = {}
        self._headers: dict[int, tuple[tuple[str, bytes], ...]] = {}

    def read(self, key: bytes, partition: int) -> bytes | None:
        """The value of a key whose records come by this partition."""
        held = self._held.get(partition)
        return None if held is None else held.values.get(key)

    def write(self, key: bytes, value: bytes | None, partition: int) -> Outgoing:
        """Set or (None) delete; returns the record to publish."""
        self._set(self._of(partition), key, value)
        return Outgoing(self.changelog, key, value, self._headers.get(partition, ()), partition)

    def places(self) -> list[tuple[bytes, int]]:
        """Every key and the partition its records come by."""
        return [(key, partition) for partition, held in self._held.items() for key in held.values]

    def apply(self, records: Iterable[Record]) -> None:
        """Apply what was read of the changelog, in order, but for late records (see changelogs.py).

        Raises NewerVersion, and goes no further, where a later version of us wrote.
        """
        for record in records:
            refuse_newer(record.value, self.version, self.changelog)
            held, key = self._of(record.partition), record.key or b""
            if self.sieve.takes(record, held.values.get(key)):
                self._set(held, key, record.value)
            held.applied = max(held.applied, record.offset)

    def look(self, record: Record) -> None:
        """Take note of a record that came between ours, to be written over if it is late."""
        self.sieve.takes(record, self.read(record.key or b"", record.partition))

    def own(self, partition: int, token: Token) -> None:
        """Write as this owner from now on; all that came before was read."""
        self.sieve.owners.note(partition, token)
        self.gaps.begin(partition, token.end)
        self._headers[partition] = ((OWNER, encode_token(token)),)
        held = self._of(partition)
        held.applied = max(held.applied, token.end - 1)

    def note_written(self, partition: int, offset: int, count: int = 1) -> None:
        """So many records of ours are on the changelog from this offset on."""
        self.gaps.note_written(partition, offset, count)
        held = self._held.get(partition)
        if held is not None and held.applied == offset - 1:
            held.applied = offset + count - 1

    def applied(self, partition: int) -> int | None:
        """The last record of its changelog that need not be read; None if all must be."""
        held = self._held.get(partition)
        return None if held is None or held.applied < 0 else held.applied

    def keep(self, partitions: Collection[int]) -> None:
        """Only these are ours to write: forget what there was to mend in others."""
        self.gaps.keep(partitions)

    def hold(self, partitions: Collection[int]) -> None:
        """Forget all others, which are neither ours nor followed."""
        self._held = {partition: held for partition, held in self._held.items() if partition in partitions}
        self.sieve.keep(partitions)

    def held(self) -> frozenset[int]:
        """The partitions of which there is anything."""
        return frozenset(self._held)

    def changes(self, partition: int, at_most: int) -> Saved | None:
        """So many of the keys that changed since they were last asked for; None if none did.

        To be asked when no write is on its way. How far that is comes with the last of them, and not while the last
        record of some key is not what we hold: whoever reads on from there must find that (it is written over soon).
        """
        held = self._held.get(partition)
        if held is None:
            return None
        keys = list(islice(held.unsaved, at_most))
        held.unsaved.difference_update(keys)
        settled = not held.unsaved and partition not in self.sieve.covered.values()
        applied = held.applied if settled and held.applied >= 0 else None
        if not keys and applied in (held.told, None):
            return None
        values = {key: held.values.get(key) for key in keys}
        saved = Saved(values, applied, self.sieve.owners.of(partition), held.anew)
        held.anew, held.told = False, held.told if applied is None else applied
        return saved

    def save_anew(self, partition: int) -> None:
        """What was saved of it is not to be relied on."""
        if held := self._held.get(partition):
            held.unsaved, held.anew, held.told = set(held.values), True, None

    def restore(self, partition: int, saved: Saved) -> None:
        """Hold what was saved of a partition; raises NewerVersion."""
        for value in saved.values.values():
            refuse_newer(value, self.version, self.changelog)
        values = {key: value for key, value in saved.values.items() if value is not None}
        applied = -1 if saved.applied is None else saved.applied
        self._held[partition] = _Held(values, applied, anew=False, told=saved.applied)
        for token in saved.owners:
            self.sieve.owners.note(partition, token)

    def _of(self, partition: int) -> _Held:
        held = self._held.get(partition)
        if held is None:
            held = self._held[partition] = _Held()
        return held

    def _set(self, held: _Held, key: bytes, value: bytes | None) -> None:
        if value is None:
            held.values.pop(key, None)
        else:
            held.values[key] = value
        if self._saved:
            held.unsaved.add(key)
