"""The internal interactions topic: what clicks say about items, counted by the items' owners."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from stream_engine.errors import PoisonEvent
from stream_engine.items.statistics import ItemStatistics, Tally, beginning, decode_statistics, encode_statistics
from stream_engine.items.updates import decode_updates
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.tables import StateTable

CACHED = 4_096  # items, of some tens of kilobytes each


@dataclass(frozen=True, slots=True)
class Statistics:
    """What clicks say about items, applied by the items' owner; `cached` spares decoding what was just written."""

    table: StateTable
    settings: StatisticsSettings
    dead_letters: str
    cached: dict[tuple[bytes, int], ItemStatistics]

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """One changelog record for each item touched; the views read them there."""
        tallies: dict[tuple[bytes, int], Tally] = {}
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
        touched = {place: tally.statistics() for place, tally in tallies.items()}
        self._remember(touched)
        effects += [
            self.table.write(key, encode_statistics(stats), partition) for (key, partition), stats in touched.items()
        ]
        return effects

    def _remember(self, touched: dict[tuple[bytes, int], ItemStatistics]) -> None:
        """Cache these as the latest; the oldest go."""
        for place, stats in touched.items():
            self.cached.pop(place, None)
            self.cached[place] = stats
        for place in list(islice(self.cached, max(0, len(self.cached) - CACHED))):
            del self.cached[place]

    def forget(self) -> None:
        """Drop what is cached: another worker may write the table before we own its partitions again."""
        self.cached.clear()

    def _known(self, place: tuple[bytes, int]) -> ItemStatistics | None:
        stored = self.table.read(*place)
        if stored is None:  # whatever is cached: it may have been forgotten (surplus.py)
            return None
        return self.cached.get(place) or decode_statistics(stored)
