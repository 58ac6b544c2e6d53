"""The internal interactions topic: what clicks say about items, counted by the items' owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stream_engine.errors import PoisonEvent
from stream_engine.giving_way import Share, Spare
from stream_engine.items.statistics import decode_statistics, encode_statistics
from stream_engine.items.tally import Tally, beginning
from stream_engine.items.updates import decode_updates
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.tables import Place, StateTable

CACHED = 8_192  # items, of some ten kilobytes each


@dataclass(frozen=True, slots=True)
class Statistics:
    """What clicks say about items, applied by the items' owner; `cached` spares decoding what was just written."""

    table: StateTable
    settings: StatisticsSettings
    dead_letters: str
    cached: dict[Place, Tally]
    spare: Spare

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """One changelog record for each item touched; the views read them there."""
        async with self.spare.share() as share:  # a backlog is long; the lease and the other topics want their turn
            return await self._handled(records, share)

    async def _handled(self, records: Sequence[Record], share: Share) -> list[Outgoing]:
        tallies: dict[Place, Tally] = {}
        letters = []
        for record in records:
            await share.keep()
            try:
                updates = decode_updates(record.value or b"")
            except PoisonEvent as poison:
                letters.append(dead_letter(record, poison, topic=self.dead_letters, stage="interactions"))
                continue
            for update in updates:
                place = (update.item_id.encode(), record.partition)
                if place not in tallies:
                    known = self._known(place)
                    if known is None and update.weight <= 0:  # a pair begins nothing: the item may be forgotten
                        continue
                    tallies[place] = known or Tally(beginning(update))
                tallies[place].add(update, self.settings)
        return letters + await self._written(tallies, share)

    async def _written(self, tallies: Mapping[Place, Tally], share: Share) -> list[Outgoing]:
        """As they are stored, and remembered; there may be thousands.

        Whoever is stopped in between does all of it again: an update that the table has is not counted again.
        """
        effects = []
        for (key, partition), tally in tallies.items():
            await share.keep()
            effects.append(self.table.write(key, encode_statistics(tally.statistics()), partition))
            self.cached[key, partition] = tally
        for place in list(islice(self.cached, max(0, len(self.cached) - CACHED))):
            del self.cached[place]
        return effects

    def forget(self) -> None:
        """Drop what is cached: another worker may write the table before we own its partitions again."""
        self.cached.clear()

    def _known(self, place: Place) -> Tally | None:
        """What is stored of an item, not cached any more: it is again once all that is added to it is stored."""
        cached, stored = self.cached.pop(place, None), self.table.read(*place)
        if stored is None:  # whatever is cached: it may have been forgotten (surplus.py)
            return None
        return cached or Tally(decode_statistics(stored))
