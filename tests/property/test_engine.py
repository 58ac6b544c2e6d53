"""Laws of the lists, whatever is clicked, announced and taken away in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.engine import Engine
from stream_engine.events import EventType, Interaction, Received, Source
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.view import ItemView
from stream_engine.outcomes import ChunkOutcome
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import RankingSettings, StatisticsSettings, UserSettings
from stream_engine.users import UserState
from stream_engine.vectors import unit

ITEMS = 12
SIZE = 4

clicks = st.tuples(
    st.sampled_from("uv"),
    st.integers(0, ITEMS + 1),  # the last two are never announced
    st.sampled_from(["click", "purchase", "dislike", "impression"]),
    st.floats(0, 1e7),
)
withdrawals = st.integers(0, ITEMS - 1)
scripts = st.lists(st.lists(clicks, min_size=1, max_size=4) | withdrawals, max_size=12)


class World:
    """One worker with everything it keeps, and the statistics' owner."""

    def __init__(self) -> None:
        vectors = unit(np.random.default_rng(0).normal(size=(ITEMS, 8)).astype(np.float32))
        self.view = ItemView(8, StatisticsSettings(), fingerprint="hashed-8")
        self.index = MemoryIndex(8)
        self.ranker = Ranker()
        for number, vector in enumerate(vectors):
            self.view.put(CatalogueRecord(f"i{number}", vector=vector, fingerprint="hashed-8"))
        asyncio.run(self.index.upsert([Point(f"i{number}", vector) for number, vector in enumerate(vectors)]))
        self.engine = Engine(
            view=self.view,
            index=self.index,
            encoder=HashedEncoder(8),
            ranker=self.ranker,
            users=UserSettings(),
            ranking=RankingSettings(size=SIZE),
        )
        self.states: dict[str, UserState] = {}
        self.statistics: dict[str, ItemStatistics] = {}

    def chunk(self, received: Sequence[Received]) -> ChunkOutcome:
        outcome = asyncio.run(self.engine.on_chunk(received, self.states, 1.0))
        self.states |= {user.user_id: user.state for user in outcome.users}
        for update in outcome.updates:
            stats = observe(self.statistics.get(update.item_id), update, self.view.settings)
            self.statistics[update.item_id] = stats
            self.view.put_statistics(update.item_id, stats)
        return outcome


def received_of(script: Sequence[tuple[str, int, EventType, float]], offset: int) -> list[Received]:
    return [
        Received(
            Interaction(user_id=user, item_id=f"i{item}", event_type=kind, timestamp=time),
            Source("clicks", 0, offset + place),
        )
        for place, (user, item, kind, time) in enumerate(script)
    ]


@given(scripts)
def test_every_list_keeps_the_laws(script: list[list[tuple[str, int, EventType, float]] | int]) -> None:
    world, offset, there = World(), 0, {f"i{number}" for number in range(ITEMS)}
    for step in script:
        if isinstance(step, int):
            world.view.remove(f"i{step}")
            there.discard(f"i{step}")
            continue
        received = received_of(step, offset)
        offset += len(step)
        for user in world.chunk(received).users:
            made = user.recommendation
            listed = [item.item_id for item in made.items]
            seen = set(user.state.items)
            fresh = there - seen
            if world.ranker.habits.again_soon or world.ranker.habits.again_later:
                continue  # people come back here
            assert len(set(listed)) == len(listed) == min(SIZE, len(fresh) or len(there))
            assert set(listed) <= (fresh or there)
            assert [item.rank for item in made.items] == list(range(1, len(listed) + 1))
            assert np.isfinite([item.score for item in made.items]).all()
            assert made.interactions == user.state.interactions


@given(st.lists(st.lists(clicks, min_size=1, max_size=4), min_size=1, max_size=8), st.data())
def test_delivered_again_from_anywhere_nothing_changes(
    script: list[list[tuple[str, int, EventType, float]]], data: st.DataObject
) -> None:
    world = World()
    log = received_of([click for chunk in script for click in chunk], 0)
    first = world.chunk(log)
    states, statistics, samples = dict(world.states), dict(world.statistics), world.engine.quality
    start = data.draw(st.integers(0, len(log) - 1))
    again = world.chunk(log[start:])
    assert world.states == states
    assert world.statistics == statistics
    assert world.engine.quality == samples
    ids = {user.user_id: user.recommendation.recommendation_id for user in first.users}
    assert all(ids[user.user_id] == user.recommendation.recommendation_id for user in again.users)


@given(scripts)
def test_the_same_log_makes_the_same_lists(script: list[list[tuple[str, int, EventType, float]] | int]) -> None:
    outcomes = []
    for world in (World(), World()):
        offset = 0
        made = []
        for step in script:
            if isinstance(step, list):
                made.append(world.chunk(received_of(step, offset)))
                offset += len(step)
        outcomes.append(made)
    assert outcomes[0] == outcomes[1]
