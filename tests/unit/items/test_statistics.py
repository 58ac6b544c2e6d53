from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.errors import NewerVersion, PoisonEvent
from stream_engine.events import Source
from stream_engine.items.statistics import (
    ItemStatistics,
    decode_statistics,
    encode_statistics,
    marks,
    packed,
    strength,
    summary,
)
from stream_engine.items.tally import Tally, beginning, decay, observe
from stream_engine.items.updates import ItemUpdate, decode_updates, encode_updates, updates_of
from stream_engine.settings import StatisticsSettings

GOLDEN = Path(__file__).parents[2] / "golden" / "items"
SETTINGS = StatisticsSettings(half_lives=(10.0, 100.0), lately=50.0, neighbours=4, followers=2)
EXAMPLE = ItemStatistics(
    updated=120.0,
    landmark=100.0,
    clicks=3.0,
    first_click=100.0,
    last_click=115.0,
    popularity=(1.5, 2.75),
    pairs=2.71,
    followed=2.0,
    neighbours=("b", "c"),
    together=packed((1.9, 0.81)),
    lately=packed((2.1, 0.5)),
    after=packed((1.0, 0.0)),
    followers={"b": 1.0},
    watermarks={0: 7, 3: 12},
)
UPDATES = (
    ItemUpdate("a", 3, 12, 115.5, 1.0, (("b", 1.0), ("c", 0.9))),
    ItemUpdate("b", 3, 12, 115.5, later=(("a", 1.0),), follower="a"),
)


def counted(*updates: ItemUpdate) -> ItemStatistics | None:
    stats = None
    for update in updates:
        stats = observe(stats, update, SETTINGS)
    return stats


def clicked(offset: int, timestamp: float, *earlier: str, partition: int = 0) -> ItemUpdate:
    pairs = tuple((other, 0.9**distance) for distance, other in enumerate(earlier))
    return ItemUpdate("a", partition, offset, timestamp, 1.0, pairs)


def test_a_click_pairs_both_ways_and_only_the_last_is_followed() -> None:
    updates = updates_of("a", ["b", "c"], source=Source("t", 2, 5), timestamp=9.0, weight=1.0, fade=0.5)
    assert updates == [
        ItemUpdate("a", 2, 5, 9.0, 1.0, earlier=(("b", 1.0), ("c", 0.5))),
        ItemUpdate("b", 2, 5, 9.0, later=(("a", 1.0),), follower="a"),
        ItemUpdate("c", 2, 5, 9.0, later=(("a", 0.5),)),
    ]


def test_an_item_is_no_neighbour_or_follower_of_itself() -> None:
    updates = updates_of("a", ["a", "b"], source=Source("t", 0, 0), timestamp=9.0, weight=1.0, fade=0.5)
    assert updates == [
        ItemUpdate("a", 0, 0, 9.0, 1.0, earlier=(("b", 0.5),)),
        ItemUpdate("b", 0, 0, 9.0, later=(("a", 0.5),)),
    ]


def test_popularity_decays_by_event_time_whatever_the_order() -> None:
    stats = counted(clicked(0, 0.0), clicked(1, 30.0), clicked(2, 20.0))
    assert stats is not None
    assert stats.popularity == pytest.approx(
        [sum(decay(30.0 - at, half) for at in (0.0, 20.0, 30.0)) for half in SETTINGS.half_lives]
    )
    assert (stats.first_click, stats.last_click, stats.clicks) == (0.0, 30.0, 3.0)


def test_recent_pairs_decay_through_a_change_of_landmark() -> None:
    times = [0.0, 40.0, 50.0 * 45, 50.0 * 46]
    stats = counted(*(clicked(offset, at, "b") for offset, at in enumerate(times)))
    assert stats is not None
    assert stats.landmark > 0.0
    now = stats.by_neighbour(stats.lately)["b"] * decay(stats.updated - stats.landmark, SETTINGS.lately)
    assert now == pytest.approx(sum(decay(times[-1] - at, SETTINGS.lately) for at in times))


def test_neighbours_are_bounded_and_the_frequent_stay() -> None:
    clicks = [clicked(offset, float(offset), "often", f"once{offset}") for offset in range(50)]
    stats = counted(*clicks)
    assert stats is not None
    assert len(stats.neighbours) <= 5
    assert len(stats.together) == len(stats.lately) == len(stats.after) == 4 * len(stats.neighbours)
    assert stats.by_neighbour(stats.together)["often"] == 50.0
    assert "once49" in stats.neighbours
    assert stats.pairs == pytest.approx(50 * 1.9)


def test_directions_are_kept_apart() -> None:
    stats = counted(clicked(0, 0.0, "b"), ItemUpdate("a", 0, 1, 1.0, later=(("b", 0.9),), follower="b"))
    assert stats is not None
    assert stats.by_neighbour(stats.together) == {"b": pytest.approx(1.9)}
    assert stats.by_neighbour(stats.after) == {"b": pytest.approx(0.9)}
    assert (stats.followers, stats.followed, stats.clicks) == ({"b": 1.0}, 1.0, 1.0)


places = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1e4), st.sampled_from("bcdefgh")), min_size=1, max_size=25)


@given(places, st.data())
def test_any_redelivery_changes_nothing(clicks: list[tuple[int, float, str]], data: st.DataObject) -> None:
    """From any offset on, any partition may be delivered again from an earlier one."""
    offsets = dict.fromkeys(range(3), 0)
    updates = []
    for partition, timestamp, other in clicks:
        updates.append(clicked(offsets[partition], timestamp, other, partition=partition))
        offsets[partition] += 1
    stats = counted(*updates)
    again = data.draw(st.lists(st.sampled_from(updates), max_size=10))
    for update in again:
        assert observe(stats, update, SETTINGS) is stats


moments = st.one_of(st.floats(0, 1e3), st.sampled_from([2.5e3, 9e3]))
others = st.lists(st.tuples(st.sampled_from("bcdefgh"), st.floats(0, 1)), max_size=4).map(tuple)
anything = st.builds(
    ItemUpdate,
    item_id=st.just("a"),
    partition=st.integers(0, 2),
    offset=st.integers(0, 30),
    timestamp=moments,
    weight=st.sampled_from([0.0, 1.0]),
    earlier=others,
    later=others,
    follower=st.none() | st.sampled_from("bcdef"),
)


@given(st.lists(anything, min_size=1, max_size=25), st.data())
def test_many_updates_at_once_count_as_one_by_one(updates: list[ItemUpdate], data: st.DataObject) -> None:
    begun = data.draw(st.integers(0, len(updates) - 1))
    before = counted(*updates[:begun])
    kept = None if before is None else encode_statistics(before)
    tally = Tally(before or beginning(updates[begun]))
    for update in updates[begun:]:
        tally.add(update, SETTINGS)
    one_by_one = counted(*updates)
    assert one_by_one is not None
    assert encode_statistics(tally.statistics()) == encode_statistics(one_by_one)
    assert before is None or encode_statistics(before) == kept


def test_golden_bytes_still_decode() -> None:
    assert decode_updates((GOLDEN / "updates-v1.bin").read_bytes()) == UPDATES
    for version in (1, 2):
        stored = (GOLDEN / f"statistics-v{version}.bin").read_bytes()
        assert stored[0] == version
        assert decode_statistics(stored) == EXAMPLE
        short = summary(stored)
        assert {name: getattr(EXAMPLE, name) for name in short.__struct_fields__} == msgspec.structs.asdict(short)
        assert marks(stored) == EXAMPLE.watermarks
        assert strength(stored, 10.0) == math.log2(4.0) + 11.5


def test_bytes_round_trip() -> None:
    assert decode_statistics(encode_statistics(EXAMPLE)) == EXAMPLE
    assert decode_updates(encode_updates(UPDATES)) == UPDATES


@pytest.mark.parametrize("fields", [2, 8, 13])
def test_statistics_that_say_less_than_all_are_poison(fields: int) -> None:
    whole = msgspec.msgpack.decode(encode_statistics(EXAMPLE)[1:], strict=False)
    with pytest.raises(PoisonEvent):
        decode_statistics(encode_statistics(EXAMPLE)[:1] + msgspec.msgpack.encode(whole[:fields]))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_poison(data: bytes) -> None:
    for decode in (decode_statistics, decode_updates, summary):
        for each in (data, b"\x01" + data, b"\x02" + data):
            try:
                decode(each)
            except (NewerVersion, PoisonEvent):
                continue
