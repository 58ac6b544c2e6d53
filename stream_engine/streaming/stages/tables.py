"""The port to a worker's keyed state, and its fake."""

from __future__ import annotations

from typing import Protocol

from stream_engine.streaming.publisher import Outgoing

Place = tuple[bytes, int]
"""A key and the partition its records come by."""


class StateTable(Protocol):
    """A partitioned table of bytes; a write returns the changelog record to publish."""

    def read(self, key: bytes, partition: int) -> bytes | None:
        """The value, or None."""
        ...

    def write(self, key: bytes, value: bytes | None, partition: int) -> Outgoing:
        """Set, or with None delete."""
        ...


class FakeTable:
    """A table in a dict."""

    def __init__(self, changelog: str = "changelog") -> None:
        self.values: dict[tuple[bytes, int], bytes] = {}
        self._changelog = changelog

    def read(self, key: bytes, partition: int) -> bytes | None:
        """The value, or None."""
        return self.values.get((key, partition))

    def places(self) -> list[tuple[bytes, int]]:
        """Every key and its partition."""
        return list(self.values)

    def write(self, key: bytes, value: bytes | None, partition: int) -> Outgoing:
        """Set, or with None delete."""
        if value is None:
            self.values.pop((key, partition), None)
        else:
            self.values[key, partition] = value
        return Outgoing(self._changelog, key, value, (), partition)
