"""What is kept of one user and of one item stops growing; the real million is in tests/benchmarks/growth.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from harness.records import record
from harness.worlds import Stages, surplus_of

from stream_engine.events import Interaction, Received, Source
from stream_engine.items.statistics import ItemStatistics, encode_statistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import ItemUpdate, encode_updates, updates_of
from stream_engine.settings import StatisticsSettings, UserSettings
from stream_engine.streaming.publisher import FakePublisher
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


def said(ids: Sequence[str], places: range) -> bytes:
    """What the clicks at these places, each after the three before it, say about items."""
    updates: list[ItemUpdate] = []
    for at in places:
        before, source = ids[max(at - 3, 0) : at], Source("clicks", 0, at)
        updates += updates_of(ids[at], before, source=source, timestamp=START + at, weight=1.0, fade=0.9)
    return encode_updates(updates)


async def test_ids_that_nobody_announces() -> None:
    """Ever new ones, among items of the catalogue and two that come now and then: neither table nor view grows."""
    stages, publisher, kept, rate = Stages(), FakePublisher(), 400, 50
    surplus = surplus_of(stages, publisher, unannounced=kept)
    await stages.stock({f"i{number}": "tea" for number in range(20)})
    ids = [f"once-{at}" if at % 10 else [f"i{at // 10 % 20}", "often", "again"][at // 10 % 3] for at in range(3_000)]
    items, rows, table = [], [], []
    for begin in range(0, len(ids), rate):
        interactions = record(begin, said(ids, range(begin, begin + rate)), topic="interactions")
        await stages.feed(await stages.statistics.handle([interactions]))
        await surplus.step()
        await stages.feed(publisher.published)
        publisher.published.clear()
        items.append(len(stages.items.values))
        rows.append(len(stages.view.ids))
        table.append(sum(map(len, stages.items.values.values())))
    assert max(items) <= 20 + kept + 2 * rate
    assert max(rows) <= 20 + kept + 4 * rate
    assert max(table[len(table) // 2 :]) <= 1.2 * max(table[: len(table) // 2])
    assert {b"often", b"again"} <= {key for key, _ in stages.items.values}
    assert len(stages.view) == 20
