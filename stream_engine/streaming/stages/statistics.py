"""The internal interactions topic: what clicks say about items, counted by the items' owners."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from stream_engine.errors import PoisonEvent
from stream_engine.items.statistics import ItemStatistics, Tally, beginning, decode_statistics, encode_statistics
from stream_engine.items.updates import decode_updates
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.tables import Place, StateTable

CACHED = 4_096  # items, of some tens of kilobytes each
PIECE = 32  # items encoded at once: about a millisecond


@dataclass(frozen=True, slots=True)
class Statistics:
    """What clicks say about items, applied by the items' owner; `cached` spares decoding what was just written."""

    table: StateTable
    settings: StatisticsSettings
    dead_letters: str
    cached: dict[Place, ItemStatistics]

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """One changelog record for each item touched; the views read them there."""
        tallies: dict[Place, Tally] = {}
        effects = []
        for record in records:
            try:
                updates = decode_updates(record.value or b"")
            except PoisonEvent as poison:
                effects.append(dead_letter(record, poison, topic=self.dead_letters, stage="interactions"))
                continue
            await asyncio.sleep(0)  # a backlog is long; the lease and the other topics want their turn
            for update in updates:
                place = (update.item_id.encode(), record.partition)
                if place not in tallies:
                    known = self._known(place)
                    if known is None and update.weight <= 0:  # a pair begins nothing: the item may be forgotten
                        continue
                    tallies[place] = Tally(known or beginning(update))
                tallies[place].add(update, self.settings)
        encoded = await self._encoded(tallies)
        effects += [self.table.write(key, data, partition) for (key, partition), data in encoded.items()]
        return effects

    async def _encoded(self, tallies: dict[Place, Tally]) -> dict[Place, bytes]:
        """As they are stored, and cached as the latest; in pieces, for of a second there are thousands."""
        encoded = {}
        for number, place in enumerate(list(tallies), start=1):
            stats = tallies.pop(place).statistics()
            self._remember(place, stats)
            encoded[place] = encode_statistics(stats)
            if number % PIECE == 0:
                await asyncio.sleep(0)  # clicks want their turn
        return encoded

    def _remember(self, place: Place, stats: ItemStatistics) -> None:
        """Cache these as the latest; the oldest go."""
        self.cached.pop(place, None)
        self.cached[place] = stats
        if len(self.cached) > CACHED:
            del self.cached[next(iter(self.cached))]

    def forget(self) -> None:
        """Drop what is cached: another worker may write the table before we own its partitions again."""
        self.cached.clear()

    def _known(self, place: Place) -> ItemStatistics | None:
        stored = self.table.read(*place)
        if stored is None:  # whatever is cached: it may have been forgotten (surplus.py)
            return None
        return self.cached.get(place) or decode_statistics(stored)
