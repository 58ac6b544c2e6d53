"""An engine and everything the streaming side keeps for it, in one process: the loop without Kafka."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from stream_engine.encoder.protocol import Encoder
from stream_engine.engine import Engine
from stream_engine.evaluate.metrics import CUTS
from stream_engine.events import Item, Received
from stream_engine.index.protocol import Index, Point
from stream_engine.items.record import record_of
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import ItemUpdate
from stream_engine.items.view import ItemView
from stream_engine.ranking.proposed import Candidates
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import RankingSettings, Settings
from stream_engine.users import UserState

BLOCK = 512  # items put at once
LONGEST = max(CUTS)
SLOT = 10  # the place for a never-clicked item that is tried where the settings have none


class World:
    """Clicks go in; users, items and the ranker are afterwards as the workers' would be."""

    def __init__(self, settings: Settings, encoder: Encoder, index: Index) -> None:
        self._settings = settings
        self._encoder = encoder
        self._index = index
        self._states: dict[str, UserState] = {}
        self._statistics: dict[str, ItemStatistics] = {}
        self.view = ItemView(encoder.dimensions, settings.statistics, fingerprint=encoder.fingerprint)
        ranking = offline(settings.ranking)
        self.slot = ranking.explore or SLOT
        self.ranker = Ranker(ranking.seed, without=ranking.without)
        self.engine = Engine(
            view=self.view,
            index=index,
            encoder=encoder,
            ranker=self.ranker,
            users=settings.users,
            ranking=ranking,
        )

    async def stock(self, items: Sequence[Item], now: float) -> None:
        """Put items into the catalogue, encoding those texts that were never encoded before."""
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            vectors = await self._encoder.encode([item.text for item in block])
            for item, vector in zip(block, vectors, strict=True):
                taken = vector if item.text else None
                self.view.put(record_of(item, first_seen=now, vector=taken, fingerprint=self._encoder.fingerprint))
            await self._index.upsert(
                [
                    Point(item.item_id, vector, item.available, item.categories)
                    for item, vector in zip(block, vectors, strict=True)
                    if item.text
                ]
            )

    def state(self, user_id: str) -> UserState | None:
        """What is remembered of a user; None for a new one."""
        return self._states.get(user_id)

    def clicks(self, item_id: str) -> float:
        """How often an item was clicked."""
        statistics = self._statistics.get(item_id)
        return statistics.clicks if statistics else 0.0

    async def propose(self, user_id: str, now: float) -> Candidates:
        """What this user's list would be chosen from at this moment."""
        return await self.engine.proposed(user_id, self._states.get(user_id), now)

    def listed(self, found: Candidates, *, explore: int | None = None) -> list[str]:
        """The items of the list chosen from these, best first; `explore` as in the settings, or instead of them."""
        return [item.item_id for item in self.engine.chosen(found, explore=explore)]

    async def answer(self, each: Received) -> None:
        """Take in a click as a worker does, its user's list included."""
        outcome = await self.engine.on_chunk([each], self._states, each.interaction.timestamp)
        self._states |= {user.user_id: user.state for user in outcome.users}
        await self._learn(outcome.updates, outcome.announced, each.interaction.timestamp)

    async def observe(self, received: Sequence[Received]) -> None:
        """Take in clicks whose lists nobody wants to see."""
        if received:
            seen = await self.engine.observe(received, self._states)
            self._states |= seen.states
            await self._learn(seen.updates, seen.announced, received[-1].interaction.timestamp)

    async def _learn(self, updates: Iterable[ItemUpdate], announced: Sequence[Item], now: float) -> None:
        if announced:
            await self.stock(announced, now)
        changed = set()
        for update in updates:
            before = self._statistics.get(update.item_id)
            self._statistics[update.item_id] = observe(before, update, self._settings.statistics)
            changed.add(update.item_id)
        for item_id in sorted(changed):
            self.view.put_statistics(item_id, self._statistics[item_id])


def offline(ranking: RankingSettings) -> RankingSettings:
    """The same settings for a log: lists long enough to be measured, and no bound by the clock, which stands still."""
    return ranking.model_copy(update={"size": max(ranking.size, LONGEST), "lessons": math.inf})
