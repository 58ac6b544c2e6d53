"""A table of bytes on Faust's: what a recovery takes, and writes that say who they are from."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import faust
from faust.stores.memory import Store as MemoryStore
from faust.streams import _current_event

from stream_engine.streaming.changelogs import Sieve
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.gaps import Gaps
from stream_engine.streaming.owners import OWNER, Token, encode_token
from stream_engine.streaming.publisher import Outgoing


class BytesTable(faust.Table):
    """A table of bytes that leaves its changelog to whoever writes: the record goes out with all else a chunk says."""

    sieve: Sieve
    version: int  # the latest we can read of what the table holds

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gaps = Gaps()
        self._headers: dict[int, tuple[tuple[str, bytes], ...]] = {}

    @property
    def changelog(self) -> str:
        """The topic where its records are."""
        name: str = self.changelog_topic.get_topic_name()
        return name

    def own(self, partition: int, token: Token) -> None:
        """Write as this owner from now on; all that came before was read."""
        self.sieve.owners.note(partition, token)
        self.gaps.begin(partition, token.end)
        self._headers[partition] = ((OWNER, encode_token(token)),)

    def keep(self, partitions: Collection[int]) -> None:
        """Only these are ours: forget what there was to mend in others."""
        if isinstance(self.data, MemoryStore):  # else what was read is not read again when they come back
            self.sieve.keep(partitions)
        self.gaps.keep(partitions)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Apply what a recovery reads, but for late records (see changelogs.py)."""
        fresh: dict[bytes, bytes | None] = {}
        taken = []
        for event in batch:
            record = event.message
            self.app.refuse_newer(record.value, self.version, self.changelog)
            known = fresh[record.key] if record.key in fresh else self.read(record.key, record.partition)
            if self.sieve.takes(record, known):
                fresh[record.key] = record.value
                taken.append(event)
        super().apply_changelog_batch(taken)

    def look(self, record: Record) -> None:
        """Take note of a record that came between ours, to be written over if it is late."""
        self.sieve.takes(record, self.read(record.key or b"", record.partition))

    def read(self, key: bytes, partition: int) -> bytes | None:
        """The value of a key whose records come by this partition."""
        with _in_hand(partition):
            value: bytes | None = self.data.get(key)
            return value

    def places(self) -> list[tuple[bytes, int]]:
        """Every key and the partition its records come by."""
        return list(self.data._key_partition.items()) if isinstance(self.data, MemoryStore) else []  # noqa: SLF001

    def write(self, key: bytes, value: bytes | None, partition: int) -> Outgoing:
        """Set or (None) delete locally; the changelog record is the caller's to publish."""
        with _in_hand(partition):
            if value is None:
                self.data.pop(key, None)
                if isinstance(self.data, MemoryStore):
                    self.data._key_partition.pop(key, None)  # noqa: SLF001
            else:
                self.data[key] = value
                if isinstance(self.data, MemoryStore):  # else what is written stays when its partition leaves
                    self.data._key_partition[key] = partition  # noqa: SLF001
        return Outgoing(self.changelog, key, value, self._headers.get(partition, ()), partition)


class _Event:
    """As much of a Faust event as its stores on disk ask for."""

    def __init__(self, partition: int) -> None:
        self.message = SimpleNamespace(partition=partition)


@contextmanager
def _in_hand(partition: int) -> Iterator[None]:
    """Say which partition a table is used for: several may share one batch, and Faust asks the current event."""
    event = _Event(partition)
    token = _current_event.set(weakref.ref(event))
    try:
        yield
    finally:
        _current_event.reset(token)
