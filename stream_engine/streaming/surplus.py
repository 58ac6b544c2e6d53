"""Statistics of items that are in no catalogue are bounded: of more than so many the weakest are forgotten.

A producer may name items that nobody ever announces, and items leave the catalogue for good. What clicks say of either
is kept, for an announcement may follow; but each partition keeps only its share of `statistics.unannounced`. Strong is
what has many clicks and was heard of lately: of ids that come once each the oldest go, and what people do click
outlives them. Tombstones tell whoever recovers, and every worker's view. An item that is clicked again begins anew, and
a click that is delivered again counts for it once, as ever.

The table is looked through a little at a time, so it may hold more than its bound by what comes during one round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from heapq import nsmallest

from stream_engine.errors import StreamEngineError
from stream_engine.items.statistics import strength
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming.forgetting import Listed, Tour, forget
from stream_engine.streaming.publisher import Publisher
from stream_engine.streaming.rounds import rounds
from stream_engine.streaming.stages import Place

log = logging.getLogger(__name__)
EVERY = 1.0  # seconds
LOOKED_AT = 4_000  # items each time: some milliseconds, 20 if none of them is announced
FORGOTTEN = 1_000  # at most, each time: more than come in the meantime
PIECE = 100  # items until others have their turn


class Surplus:
    """Goes round the items' table for ever, as far as it is ours at the time."""

    def __init__(
        self,
        items: Listed,
        publisher: Publisher,
        *,
        settings: StatisticsSettings,
        partitions: int,
        announced: Callable[[str], bool],
        turn: asyncio.Lock,
        may_write: Callable[[], None],
        owns: Callable[[int], bool],
    ) -> None:
        self._items = items
        self._publisher = publisher
        self._half_life = settings.lately
        self._share = -(-settings.unannounced // partitions)
        self._partitions = partitions
        self._announced = announced
        self._turn = turn
        self._may_write = may_write
        self._owns = owns
        self._tour = Tour(items)
        self._found: dict[int, list[tuple[float, Place]]] = {}  # what is not announced, by partition
        self._weakest: list[tuple[float, Place]] = []  # what is too much
        self.forgotten = 0

    async def run(self) -> None:
        """Look at some items every second, for ever."""
        await rounds(self.step, every=EVERY, log=log, undone="no items are forgotten")

    async def step(self) -> None:
        """Look at the next few, and forget some of what is too much; raises Unavailable, and is as before then."""
        async with self._turn:
            ours = {partition for partition in range(self._partitions) if self._owns(partition)}
            await self._look(ours)
            for _ in range(0, min(FORGOTTEN, len(self._weakest)), PIECE):
                await self._forget(ours)

    async def _look(self, ours: set[int]) -> None:
        """At the next of the round; after the last it is known what is too much."""
        for at, place in enumerate(self._tour.next(LOOKED_AT), start=1):
            found = self._strength(place) if place[1] in ours else None
            if found is not None:
                self._found.setdefault(place[1], []).append((found, place))
            if at % PIECE == 0:
                await asyncio.sleep(0)
        if self._tour.has_ended:
            for found_there in self._found.values():
                self._weakest += nsmallest(len(found_there) - self._share, found_there)
            self._found = {}

    async def _forget(self, ours: set[int]) -> None:
        """The next few, but for those that were clicked or announced in the meantime."""
        weakest = self._weakest[:PIECE]
        due = {place for found, place in weakest if place[1] in ours and self._strength(place) == found}
        if due:
            await forget(self._items, self._publisher, sorted(due), may_write=self._may_write)
            self.forgotten += len(due)
        del self._weakest[:PIECE]

    def _strength(self, place: Place) -> float | None:
        """How strong an item is; None if it is announced, or forgotten already."""
        try:
            stored = None if self._announced(place[0].decode()) else self._items.read(*place)
            return None if stored is None else strength(stored, self._half_life)
        except (StreamEngineError, UnicodeDecodeError):
            return None  # not for us to judge
