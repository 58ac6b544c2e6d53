"""What is kept of one user and of one item stops growing; the real million is in tests/benchmarks/growth.py."""

from __future__ import annotations

import numpy as np

from stream_engine.events import Interaction, Received, Source
from stream_engine.items.statistics import ItemStatistics, encode_statistics, observe
from stream_engine.items.updates import ItemUpdate
from stream_engine.settings import StatisticsSettings, UserSettings
from stream_engine.users import MAX_BYTES, UserState, advance, encode_state

MANY = 10_000
START = 1_600_000_000.0


def test_a_user_of_many_clicks() -> None:
    settings, vectors = UserSettings(), np.random.default_rng(0).normal(size=(64, 384)).astype(np.float32)
    state: UserState | None = None
    sizes = []
    for at in range(MANY):
        click = Interaction(user_id="u", item_id=f"item-{at}", event_id=f"e{at}", timestamp=START + 60.0 * at)
        state = advance(state, Received(click, Source("clicks", at % 8, at)), vectors[at % 64], settings)
        sizes.append(len(encode_state(state)) if at % 100 == 99 else 0)
    assert state is not None
    assert state.interactions == MANY
    assert max(sizes) <= MAX_BYTES
    assert max(sizes[MANY // 2 :]) <= 1.05 * max(sizes[: MANY // 2])


def test_an_item_of_many_clicks_after_ever_other_items() -> None:
    settings = StatisticsSettings()
    stats: ItemStatistics | None = None
    sizes = []
    for at in range(MANY):
        earlier = tuple((f"item-{10 * at + each}", 0.9**each) for each in range(10))
        stats = observe(stats, ItemUpdate("x", at % 8, at, START + at, 1.0, earlier, (), earlier[0][0]), settings)
        sizes.append(len(encode_statistics(stats)) if at % 100 == 99 else 0)
    assert stats is not None
    assert stats.clicks == MANY
    assert max(sizes[MANY // 2 :]) <= 1.05 * max(sizes[: MANY // 2])
    assert len(stats.watermarks) == 8
