"""Joining users in chains, diamonds and cycles: every interaction counts once wherever it arrives."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users import UserState, advance, encode_state, entries, merge

SETTINGS = UserSettings()
USER = st.sampled_from("abcd")
ACTS = st.lists(st.tuples(USER, USER), max_size=40)


def clicked(state: UserState | None, user: str, offset: int) -> UserState:
    click = Interaction(user_id=user, item_id=f"{user}-{offset}", timestamp=float(offset))
    source = Source("clicks", ord(user), offset)
    return advance(state, Received(click, source), np.eye(8, dtype=np.float32)[offset % 8], SETTINGS)


@given(acts=ACTS)
@example(acts=[("a", "a"), ("a", "b"), ("b", "c"), ("a", "c"), ("c", "a")])
@example(acts=[("a", "a"), ("b", "b"), ("a", "b"), ("b", "a"), ("a", "b")])
@example(acts=[("a", "a"), ("a", "b"), ("a", "c"), ("b", "b"), ("c", "c"), ("b", "c")])
def test_each_user_has_what_they_did_and_what_joined_them_once(acts: list[tuple[str, str]]) -> None:
    """An act of one user is a click, of two users the one joins the other."""
    states: dict[str, UserState] = {}
    items: dict[str, set[str]] = {user: set() for user in "abcd"}
    for at, (one, other) in enumerate(acts):
        if one == other:
            states[one] = clicked(states.get(one), one, at)
            items[one].add(f"{one}-{at}")
        elif one in states:
            joined = merge(states.get(other), states[one], SETTINGS)
            assert encode_state(merge(joined, states[one], SETTINGS)) == encode_state(joined)
            states[other] = joined
            items[other] |= items[one]
    for user, state in states.items():
        assert state.interactions == len(items[user])
        assert {entry.item_id for entry in entries(state)} == items[user]
