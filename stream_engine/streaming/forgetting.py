"""Forgetting what a table holds: tombstones first, and the table forgets what the broker has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.stages import Place, StateTable


class Listed(StateTable, Protocol):
    """A table with what it takes to go through it."""

    def places(self) -> list[Place]:
        """Every key and its partition."""
        ...


class Tour:
    """Goes round what a table holds for ever, some at a time; what is new there comes in the next round."""

    def __init__(self, table: Listed) -> None:
        self._table = table
        self._left: list[Place] = []  # of this round, the next ones last

    def next(self, count: int) -> list[Place]:
        """The next few of the round; after its last, the first of another."""
        self._left = self._left or self._table.places()[::-1]
        begin = max(0, len(self._left) - count)
        taken = self._left[begin:][::-1]
        del self._left[begin:]
        return taken

    @property
    def has_ended(self) -> bool:
        """Whether all of a round were looked at."""
        return not self._left


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
