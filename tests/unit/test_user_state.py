"""What one interaction does to a user's state."""

import math
from typing import Any, get_args

import numpy as np
import pytest

from stream_engine.events import EventType, Interaction, Received, Source
from stream_engine.settings import EVENT_WEIGHTS, UserSettings
from stream_engine.users import (
    UserState,
    advance,
    entries,
    interest_vectors,
    is_new,
    item_hash,
    recent,
    seen_hashes,
    space_of,
)
from stream_engine.users.history import EVENT_TYPES
from stream_engine.vectors import Vector, unit

SETTINGS = UserSettings()
DAY = 86_400.0
NOW = 1.7e9


def click(offset: int, item_id: str | None = "a", **fields: Any) -> Received:
    source = Source(fields.pop("topic", "clicks"), fields.pop("partition", 0), offset)
    return Received(Interaction(user_id="u", item_id=item_id, **{"timestamp": NOW, **fields}), source)


def axis(place: int, dimensions: int = 8) -> Vector:
    return np.eye(dimensions, dtype=np.float32)[place]


def test_first_click_is_one_interest_and_one_entry() -> None:
    state = advance(None, click(7), axis(2), SETTINGS)
    directions, lengths = interest_vectors(state)
    assert np.allclose(directions, [axis(2)], atol=0.01)
    assert lengths.tolist() == [1.0]
    assert state.interactions == 1
    assert state.updated_at == NOW
    assert state.watermarks == (("clicks", 0, 8),)
    assert [(entry.item_id, entry.event_type, entry.timestamp) for entry in recent(state)] == [("a", "click", NOW)]


def test_redelivery_gives_the_same_object() -> None:
    state = advance(None, click(7), axis(0), SETTINGS)
    assert not is_new(state, click(7))
    assert advance(state, click(7), axis(1), SETTINGS) is state
    assert advance(state, click(3), axis(1), SETTINGS) is state
    assert is_new(state, click(8))


def test_partitions_and_topics_have_their_own_watermarks() -> None:
    state = advance(None, click(7), None, SETTINGS)
    state = advance(state, click(2, partition=1), None, SETTINGS)
    state = advance(state, click(0, topic="more"), None, SETTINGS)
    assert state.interactions == 3
    assert set(state.watermarks) == {("clicks", 0, 8), ("clicks", 1, 3), ("more", 0, 1)}


def test_a_repeated_event_id_moves_the_watermark_only() -> None:
    once = advance(None, click(1, event_id="e"), axis(0), SETTINGS)
    twice = advance(once, click(2, event_id="e", timestamp=NOW + DAY), axis(1), SETTINGS)
    assert twice.watermarks == (("clicks", 0, 3),)
    assert twice == UserState(**{**_fields(once), "watermarks": twice.watermarks})
    assert advance(twice, click(3, event_id="f"), axis(1), SETTINGS).interactions == 2


def test_event_ids_are_remembered_for_32_events() -> None:
    state = None
    for offset in range(33):
        state = advance(state, click(offset, event_id=str(offset)), None, SETTINGS)
    assert state
    assert advance(state, click(33, event_id="1"), None, SETTINGS).interactions == 33
    assert advance(state, click(33, event_id="0"), None, SETTINGS).interactions == 34


def test_an_impression_counts_and_leaves_no_trace() -> None:
    before = advance(None, click(1), axis(0), SETTINGS)
    after = advance(before, click(2, "b", event_type="impression"), axis(1), SETTINGS)
    assert after.interactions == 2
    assert (after.items, after.left, after.interests) == (before.items, before.left, before.interests)


def test_a_search_moves_interests_and_not_history() -> None:
    state = advance(None, click(1, None, event_type="search", query="red shoes"), axis(3), SETTINGS)
    assert interest_vectors(state)[0][0, 3] > 0.99
    assert state.items == ()


def test_an_item_without_a_vector_still_enters_history() -> None:
    state = advance(None, click(1), None, SETTINGS)
    assert state.items == ("a",)
    assert interest_vectors(state)[0].shape == (0, 0)


@pytest.mark.parametrize("vector", [[0.0] * 8, [math.nan] * 8, [math.inf] + [0.0] * 7, [1e30] * 8, []])
def test_a_vector_without_direction_moves_nothing(vector: list[float]) -> None:
    state = advance(None, click(1), axis(0), SETTINGS)
    after = advance(state, click(2, "b"), np.array(vector, np.float32), SETTINGS)
    assert after.interests == state.interests
    assert after.items == ("a", "b")


def test_interests_halve_in_a_half_life() -> None:
    state = advance(None, click(1), axis(0), SETTINGS)
    later = advance(state, click(2, timestamp=NOW + SETTINGS.half_life), None, SETTINGS)
    assert later.interests[0].length == pytest.approx(0.5)


def test_a_late_event_neither_turns_time_back_nor_counts_less() -> None:
    state = advance(None, click(1), axis(0), SETTINGS)
    later = advance(state, click(2, "b", timestamp=NOW - 30 * DAY), axis(1), SETTINGS)
    assert later.updated_at == NOW
    assert sorted(interest.length for interest in later.interests) == pytest.approx([math.exp(-1 / 20), 1.0])
    assert recent(later)[0].timestamp == NOW - 30 * DAY


@pytest.mark.parametrize("timestamp", [-5.0, 1e18, math.nan, math.inf, -math.inf])
def test_an_absurd_time_is_held_in_bounds(timestamp: float) -> None:
    state = advance(None, click(1), axis(0), SETTINGS)
    after = advance(state, click(2, timestamp=timestamp), axis(0), SETTINGS)
    assert NOW <= after.updated_at < 2**32
    assert interest_vectors(after)[1][0] >= 1.0


def test_similar_clicks_share_an_interest_and_others_open_their_own() -> None:
    state = advance(None, click(1), axis(0), SETTINGS)
    state = advance(state, click(2), unit(axis(0) + 0.3 * axis(1)), SETTINGS)
    assert len(state.interests) == 1
    state = advance(state, click(3), axis(4), SETTINGS)
    assert len(state.interests) == 2


def test_the_newest_interest_stands_alone_when_room_is_made() -> None:
    state = None
    for offset, vector in enumerate([axis(0), axis(1), unit(axis(1) + axis(2)), axis(5)]):
        state = advance(state, click(offset), vector, SETTINGS)
    assert state
    directions, _ = interest_vectors(state)
    assert len(directions) == 3
    assert (directions @ axis(5)).max() > 0.99
    assert (directions @ axis(0)).max() > 0.99
    assert (directions @ unit(axis(1) + axis(2))).max() > 0.9  # the two that were near are one now


def test_a_dislike_turns_the_nearest_interest_away_and_never_around() -> None:
    state = None
    liked = unit(axis(0) + axis(1))
    for offset in range(5):
        state = advance(state, click(offset), liked, SETTINGS)
    after = advance(state, click(5, "b", event_type="dislike"), axis(1), SETTINGS)
    cosine = float((interest_vectors(after)[0] @ axis(1))[0])
    assert 0 < cosine < 0.6
    for offset in range(6, 30):
        after = advance(after, click(offset, "b", event_type="dislike"), axis(1), SETTINGS)
    assert float((interest_vectors(after)[0] @ axis(1))[0]) == pytest.approx(0.0, abs=0.02)
    assert float((interest_vectors(after)[0] @ axis(0))[0]) > 0.98


def test_disliking_all_there_is_leaves_no_interest() -> None:
    state = advance(None, click(1), axis(0), SETTINGS)
    after = advance(state, click(2, event_type="dislike"), axis(0), SETTINGS)
    assert after.interests == ()
    assert advance(None, click(1, event_type="dislike"), axis(0), SETTINGS).interests == ()


def test_a_disliked_item_is_seen_and_no_longer_recent() -> None:
    state = advance(None, click(1, "a"), None, SETTINGS)
    state = advance(state, click(2, "b"), None, SETTINGS)
    state = advance(state, click(3, "a", event_type="dislike"), None, SETTINGS)
    assert [entry.item_id for entry in recent(state)] == ["b"]
    assert [entry.positive for entry in entries(state)] == [False, True, True]
    assert item_hash("a") in np.frombuffer(state.left, "<u4")
    again = advance(state, click(4, "a"), None, SETTINGS)
    assert [entry.item_id for entry in recent(again)] == ["a", "b"]


def test_vectors_of_another_encoder_start_over() -> None:
    state = advance(None, click(1), axis(0), SETTINGS, space=space_of("one"))
    other = advance(state, click(2), axis(1), SETTINGS, space=space_of("two"))
    assert other.space == space_of("two")
    assert len(other.interests) == 1
    assert np.allclose(interest_vectors(other)[0], [axis(1)], atol=0.01)
    longer = advance(other, click(3), axis(1, 16), SETTINGS, space=space_of("two"))
    assert interest_vectors(longer)[0].shape == (1, 16)


def test_what_leaves_the_history_stays_seen() -> None:
    state = None
    for offset in range(300):
        state = advance(state, click(offset, f"item-{offset % 200}"), None, SETTINGS)
    assert state
    assert [entry.item_id for entry in recent(state)] == [f"item-{place % 200}" for place in range(299, 249, -1)]
    seen = seen_hashes(state)
    assert len(seen) == 50 + SETTINGS.seen
    assert all(item_hash(f"item-{place % 200}") in seen for place in range(300 - 50 - SETTINGS.seen, 300))


def test_a_repeated_item_is_not_hashed_while_it_is_in_the_history() -> None:
    state = None
    for offset in range(200):
        state = advance(state, click(offset, "same"), None, SETTINGS)
    assert state
    assert state.left == b""


def test_every_event_type_has_a_weight_and_a_code() -> None:
    assert set(EVENT_TYPES) == set(EVENT_WEIGHTS) == set(get_args(EventType))
    for offset, event_type in enumerate(EVENT_TYPES):
        state = advance(None, click(offset, event_type=event_type), None, SETTINGS)
        assert [entry.event_type for entry in entries(state)] == ([event_type] if EVENT_WEIGHTS[event_type] else [])


def test_interests_shrink_with_the_setting() -> None:
    state = None
    for offset in range(3):
        state = advance(state, click(offset), axis(offset), SETTINGS)
    fewer = advance(state, click(3), axis(0), UserSettings(interests=1))
    assert len(fewer.interests) == 1


@pytest.mark.parametrize(("dimensions", "kept"), [(256, 3), (384, 3), (768, 2), (1024, 1), (3072, 1), (4096, 0)])
def test_interests_are_as_many_as_there_is_room_for(dimensions: int, kept: int) -> None:
    state = None
    for offset in range(4):
        state = advance(state, click(offset), axis(offset, dimensions), SETTINGS)
    assert state
    assert len(state.interests) == kept


def _fields(state: UserState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in UserState.__struct_fields__}
