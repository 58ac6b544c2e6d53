"""Forgetting what a table holds: tombstones first, and the table forgets what the broker has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.stages import StateTable

Place = tuple[bytes, int]
"""A key and the partition its records come by."""


class Listed(StateTable, Protocol):
    """A table with what it takes to go through it."""

    def places(self) -> list[Place]:
        """Every key and its partition, those of standbys among them."""
        ...


async def forget(
    table: StateTable,
    publisher: Publisher,
    due: Sequence[Place],
    *,
    may_write: Callable[[], None],
    beside: Sequence[Outgoing] = (),
) -> None:
    """Delete these, and publish what goes with that; in the turn of those who write the table.

    Raises what publishing raises; the table holds all of them then, though the broker may have some of the tombstones:
    whoever judged them due finds them again, and to delete them twice changes nothing.
    """
    held = [table.read(*place) for place in due]
    tombstones = [table.write(key, None, partition) for key, partition in due]
    try:
        may_write()
        await publisher.publish([*tombstones, *beside])
    except BaseException:
        for (key, partition), value in zip(due, held, strict=True):
            table.write(key, value, partition)
        raise
