"""The internal interactions topic: what clicks say about items, counted by the items' owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stream_engine.errors import PoisonEvent
from stream_engine.giving_way import give_way
from stream_engine.items.statistics import decode_statistics, encode_statistics
from stream_engine.items.tally import Tally, beginning
from stream_engine.items.updates import decode_updates
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.tables import Place, StateTable

CACHED = 8_192  # items, of some ten kilobytes each
PIECE = 32  # records counted at once, or items encoded: about a millisecond


@dataclass(frozen=True, slots=True)
class Statistics:
    """What clicks say about items, applied by the items' owner; `cached` spares decoding what was just written."""

    table: StateTable
    settings: StatisticsSettings
    dead_letters: str
    cached: dict[Place, Tally]

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """One changelog record for each item touched; the views read them there."""
        tallies: dict[Place, Tally] = {}
        effects = []
        for number, record in enumerate(records, start=1):
            if number % PIECE == 0:
                await give_way()  # a backlog is long; the lease and the other topics want their turn
            try:
                updates = decode_updates(record.value or b"")
            except PoisonEvent as poison:
                effects.append(dead_letter(record, poison, topic=self.dead_letters, stage="interactions"))
                continue
            for update in updates:
                place = (update.item_id.encode(), record.partition)
                if place not in tallies:
                    known = self._known(place)
                    if known is None and update.weight <= 0:  # a pair begins nothing: the item may be forgotten
                        continue
                    tallies[place] = known or Tally(beginning(update))
                tallies[place].add(update, self.settings)
        encoded = await self._encoded(tallies)
        effects += [self.table.write(key, data, partition) for (key, partition), data in encoded.items()]
        self._remember(tallies)
        return effects

    async def _encoded(self, tallies: Mapping[Place, Tally]) -> dict[Place, bytes]:
        """As they are stored; in pieces, for of a second there are thousands."""
        encoded = {}
        for number, (place, tally) in enumerate(tallies.items(), start=1):
            encoded[place] = encode_statistics(tally.statistics())
            if number % PIECE == 0:
                await give_way()  # to clicks
        return encoded

    def _remember(self, tallies: Mapping[Place, Tally]) -> None:
        """Cache these as the latest; the oldest go."""
        self.cached.update(tallies)
        for place in list(islice(self.cached, max(0, len(self.cached) - CACHED))):
            del self.cached[place]

    def forget(self) -> None:
        """Drop what is cached: another worker may write the table before we own its partitions again."""
        self.cached.clear()

    def _known(self, place: Place) -> Tally | None:
        """What is stored of an item, not cached any more: it is again once all that is added to it is stored."""
        cached, stored = self.cached.pop(place, None), self.table.read(*place)
        if stored is None:  # whatever is cached: it may have been forgotten (surplus.py)
            return None
        return cached or Tally(decode_statistics(stored))
