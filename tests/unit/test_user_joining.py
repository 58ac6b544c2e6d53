"""Joining an anonymous history to an account, attributes."""

import numpy as np
import pytest

from stream_engine.errors import PoisonEvent
from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users import (
    UserState,
    advance,
    entries,
    interest_vectors,
    item_hash,
    merge,
    recent,
    seen_hashes,
    space_of,
    with_attributes,
)

SETTINGS = UserSettings()


def after(state: UserState | None, *clicks: tuple[str, int, float], partition: int = 0, space: int = 0) -> UserState:
    """Clicks as (item id, axis of its vector, time); offsets go on where the state stands."""
    for item_id, axis, timestamp in clicks:
        offset = state.watermarks[0][2] if state and state.watermarks else 0
        received = Received(
            Interaction(user_id="u", item_id=item_id, timestamp=timestamp), Source("clicks", partition, offset)
        )
        state = advance(state, received, np.eye(8, dtype=np.float32)[axis], SETTINGS, space=space)
    assert state
    return state


ACCOUNT = after(None, ("a", 0, 100.0), ("b", 0, 300.0))
VISITOR = after(None, ("c", 1, 200.0), ("d", 1, 400.0), ("e", 1, 500.0), partition=1)


def test_merge_adds_up() -> None:
    state = merge(ACCOUNT, VISITOR, SETTINGS)
    assert state.interactions == 5
    assert state.updated_at == 500.0
    assert state.watermarks == ACCOUNT.watermarks
    assert [entry.item_id for entry in recent(state)] == ["e", "d", "b", "c", "a"]
    directions, lengths = interest_vectors(state)
    assert np.allclose(directions[:, :2], [[0, 1], [1, 0]], atol=0.01)
    assert lengths[0] > lengths[1]


def test_merging_again_changes_nothing() -> None:
    state = merge(ACCOUNT, VISITOR, SETTINGS)
    assert merge(state, VISITOR, SETTINGS) is state
    later = after(state, ("f", 2, 600.0))
    assert merge(later, VISITOR, SETTINGS) is later


def test_a_user_joins_once_however_much_it_has_grown() -> None:
    state = merge(ACCOUNT, VISITOR, SETTINGS)
    grown = after(VISITOR, ("f", 2, 600.0), partition=1)
    again = merge(state, grown, SETTINGS)
    assert again.interactions == 6
    assert [entry.item_id for entry in recent(again)] == ["f", "e", "d", "b", "c", "a"]
    assert merge(again, grown, SETTINGS) is again


def test_a_visitor_who_comes_back_is_another() -> None:
    state = merge(ACCOUNT, VISITOR, SETTINGS)
    back = after(UserState(watermarks=VISITOR.watermarks), ("g", 3, 700.0), partition=1)  # the log goes on
    assert back.born != VISITOR.born
    assert merge(state, back, SETTINGS).interactions == 6


def test_merging_into_nobody_or_oneself_or_with_nothing() -> None:
    state = merge(None, VISITOR, SETTINGS)
    assert (state.interactions, state.watermarks) == (3, ())
    assert entries(state) == entries(VISITOR)
    assert merge(ACCOUNT, ACCOUNT, SETTINGS) is ACCOUNT
    assert merge(ACCOUNT, UserState(watermarks=VISITOR.watermarks), SETTINGS) is ACCOUNT
    assert merge(after(state, ("g", 3, 700.0)), VISITOR, SETTINGS).interactions == 4


def test_the_other_fades_to_the_same_moment() -> None:
    old = after(None, ("a", 0, 0.0))
    new = after(None, ("b", 1, SETTINGS.half_life), partition=1)
    for state in (merge(old, new, SETTINGS), merge(new, old, SETTINGS)):
        assert interest_vectors(state)[1].tolist() == [1.0, 0.5]


def test_interests_of_two_encoders_do_not_mix() -> None:
    other = after(None, ("c", 1, 200.0), partition=1, space=space_of("other"))
    state = merge(ACCOUNT, other, SETTINGS)
    assert state.interests == ACCOUNT.interests
    assert (state.space, state.interactions) == (ACCOUNT.space, 3)
    assert merge(None, other, SETTINGS).space == space_of("other")


def test_what_the_other_has_seen_is_seen() -> None:
    many = after(None, *((f"item-{place}", 0, 100.0) for place in range(120)), partition=1)
    state = merge(ACCOUNT, many, SETTINGS)
    assert len(state.items) == 50
    assert {item_hash(f"item-{place}") for place in range(120)} <= seen_hashes(state)


def test_attributes_replace_and_merge_and_are_bounded() -> None:
    state = with_attributes(with_attributes(None, {"city": "Bern", "age": 3}), {"city": "Basel"})
    assert state.attributes == {"city": "Basel"}
    assert (state.interactions, state.watermarks) == (0, ())
    visitor = with_attributes(VISITOR, {"city": "Chur", "device": "phone"})
    assert merge(state, visitor, SETTINGS).attributes == {"city": "Basel", "device": "phone"}
    large = with_attributes(VISITOR, {"device": "p" * 230})
    assert merge(with_attributes(ACCOUNT, {"city": "B" * 230}), large, SETTINGS).attributes == {"city": "B" * 230}
    with pytest.raises(PoisonEvent, match="attributes"):
        with_attributes(None, {"city": "B" * 300})
