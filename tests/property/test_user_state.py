"""Laws of a user's state, whatever arrives and however often."""

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_engine.errors import NewerVersion
from stream_engine.events import EventType, Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users import (
    MAX_BYTES,
    BadState,
    UserState,
    advance,
    context,
    decode_state,
    encode_state,
    entries,
    interest_vectors,
    item_hash,
    merge,
    recent,
    seen_hashes,
)
from stream_engine.users.history import place_of
from stream_engine.vectors import Vector, unit

DIMENSIONS = 12
fast = settings(max_examples=40, deadline=None)
Step = tuple[Received, Vector | None]

_NORMAL = np.random.default_rng(1).normal(size=(8, DIMENSIONS)).astype(np.float32)
_ODD = [0.0, math.nan, math.inf, 1e30, 1e-30, -1.0]
vectors = st.sampled_from([None, *_NORMAL, -_NORMAL[0], 1e3 * _NORMAL[1], _ODD]).map(
    lambda vector: None if vector is None else np.resize(np.asarray(vector, np.float32), DIMENSIONS)
) | st.sampled_from(_ODD).map(lambda number: np.full(DIMENSIONS, number, np.float32))
times = st.floats(1.6e9, 1.8e9) | st.floats()
item_ids = st.sampled_from(["a", "b", "c", "d", "ß" * 200, "long" * 128, "\0", "日本"])
configurations = st.builds(
    UserSettings,
    interests=st.integers(1, 4),
    history=st.integers(1, 50),
    seen=st.integers(0, 256),
    half_life=st.floats(1e-6, 1e9),
    memory=st.floats(1e-6, 200),
    similarity=st.floats(-1, 1),
    weights=st.sampled_from([{}, {"click": -1.0, "view": 100.0}, {"click": 1e-30, "like": -100.0, "impression": 1.0}]),
)


@st.composite
def interactions(draw: st.DrawFn) -> Interaction:
    event_type = draw(st.sampled_from(get_args(EventType)))
    return Interaction(
        user_id="u",
        event_type=event_type,
        item_id=None if event_type == "search" else draw(item_ids),
        timestamp=draw(times),
        event_id=draw(st.none() | st.sampled_from([str(number) for number in range(40)])),
    )


@st.composite
def logs(draw: st.DrawFn, topic: str = "clicks", max_size: int = 20) -> list[Step]:
    """What one user did, in the order of the log, from one or two partitions, with gaps."""
    offsets = {0: 0, 1: 0}
    steps = []
    for interaction, vector in draw(st.lists(st.tuples(interactions(), vectors), max_size=max_size)):
        partition = draw(st.sampled_from([0, 0, 0, 1]))
        offsets[partition] += draw(st.sampled_from([1, 1, 1, 2, 2**25]))
        steps.append((Received(interaction, Source(topic, partition, offsets[partition])), vector))
    return steps


def applied(steps: Sequence[Step], configuration: UserSettings, state: UserState | None = None) -> UserState:
    for received, vector in steps:
        state = advance(state, received, vector, configuration)
    return state or UserState()


@fast
@given(logs(), configurations, st.data())
def test_any_prefix_replayed_changes_nothing(
    steps: list[Step], configuration: UserSettings, data: st.DataObject
) -> None:
    state = applied(steps, configuration)
    start = data.draw(st.integers(0, len(steps)))
    stop = data.draw(st.integers(start, len(steps)))
    assert applied(steps[start:stop], configuration, state) is state or not steps
    crashed = applied(steps[:stop], configuration)
    assert applied(steps[start:], configuration, crashed) == state


@fast
@given(logs(), configurations)
def test_interests_are_unit_and_finite_and_few(steps: list[Step], configuration: UserSettings) -> None:
    state: UserState | None = None
    for received, vector in steps:
        state = advance(state, received, vector, configuration)
        directions, lengths = interest_vectors(state)
        assert len(lengths) <= configuration.interests
        assert np.isfinite(directions).all()
        assert np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
        assert (lengths > 0).all()
        assert lengths.sum() <= (100 + configuration.memory) * 1.001  # whatever the number of clicks
        assert 0 <= state.updated_at < 2**32


@fast
@given(logs(), configurations)
def test_a_state_is_small_and_the_same_after_bytes(steps: list[Step], configuration: UserSettings) -> None:
    through_bytes: UserState | None = None
    for received, vector in steps:
        through_bytes = advance(through_bytes, received, vector, configuration)
        stored = encode_state(through_bytes)
        assert len(stored) <= MAX_BYTES
        through_bytes = decode_state(stored)
    assert through_bytes is None or through_bytes == applied(steps, configuration)


@fast
@given(logs(), configurations)
def test_each_interaction_is_counted_once(steps: list[Step], configuration: UserSettings) -> None:
    """Event ids are drawn from 40, of which 32 are remembered: count as one who remembers 32 would."""
    remembered: list[str] = []
    count = 0
    for received, _ in steps:
        event_id = received.interaction.event_id
        if event_id in remembered:
            continue
        count += 1
        if event_id is not None:
            remembered = [*remembered, event_id][-32:]
    twice = [step for step in steps for _ in range(2)]
    assert applied(steps, configuration).interactions == applied(twice, configuration).interactions == count


@fast
@given(logs(), configurations)
def test_history_is_the_last_interactions_with_an_item(steps: list[Step], configuration: UserSettings) -> None:
    distinct = [_without_event_id(step) for step in steps]
    state = applied(distinct, configuration)
    moved = [
        received.interaction
        for received, _ in distinct
        if received.interaction.item_id and configuration.weights[received.interaction.event_type]
    ]
    kept = entries(state)
    assert len(kept) <= configuration.history
    last = moved[::-1][: len(kept)]
    assert [(entry.item_id, entry.event_type) for entry in kept] == [(each.item_id, each.event_type) for each in last]
    assert {entry.item_id for entry in kept} <= {entry.item_id for entry in recent(state)} | _pushed_away(state)
    assert {item_hash(entry.item_id) for entry in kept} <= seen_hashes(state)


@fast
@given(logs(), configurations, st.integers(1, 5))
def test_context_is_told_the_same_at_every_delivery(
    steps: list[Step], configuration: UserSettings, window: int
) -> None:
    states = [applied(steps[: count + 1], configuration) for count in range(len(steps))]
    if not states:
        return
    trimmed = any(entries(state)[-1] not in entries(states[-1]) for state in states if entries(state))
    for (received, _), state in zip(steps, states, strict=True):
        first = context(state, received.source, window)
        again = context(states[-1], received.source, window)
        assert again == first[: len(again)]
        if not trimmed or _precede(states[-1], received.source, window):
            assert again == first


@fast
@given(st.integers(0, 2**32), st.sampled_from(["dislike", "remove_from_cart"]), st.integers(1, 40))
def test_a_negative_event_lowers_the_cosine_to_its_item(seed: int, event_type: str, clicks: int) -> None:
    rng = np.random.default_rng(seed)
    configuration = UserSettings(interests=1)
    liked, disliked = rng.normal(size=(2, 384)) + 0.5
    state: UserState | None = None
    for offset in range(clicks):
        vector = unit(liked + 0.5 * rng.normal(size=384))
        state = advance(state, _click(offset), vector, configuration)
    before = _cosine(state, unit(disliked))
    after = _cosine(
        advance(state, _click(clicks, event_type=event_type), unit(disliked), configuration), unit(disliked)
    )
    assert -0.02 < after < before or after == before <= 0  # nothing of it is taken from what points elsewhere


@fast
@given(logs(), logs(topic="more"), configurations)
def test_merging_twice_is_merging_once(one: list[Step], other: list[Step], configuration: UserSettings) -> None:
    account, visitor = applied(one, configuration), applied(other, configuration)
    merged = merge(account, visitor, configuration)
    assert merged.interactions == account.interactions + visitor.interactions
    assert merge(merged, visitor, configuration) is merged
    assert len(encode_state(merged)) <= MAX_BYTES
    assert decode_state(encode_state(merged)) == merged
    assert len(merged.interests) <= configuration.interests
    assert np.isfinite(interest_vectors(merged)[0]).all()


@fast
@given(logs(), logs(topic="more"), configurations, st.data())
def test_merging_on_the_way_counts_the_same(
    one: list[Step], other: list[Step], configuration: UserSettings, data: st.DataObject
) -> None:
    account = applied(one, configuration)
    early = applied(other[: data.draw(st.integers(0, len(other)))], configuration)
    late = applied(other, configuration)
    state = merge(merge(account, early, configuration), late, configuration)
    assert state.interactions == account.interactions + late.interactions


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.data())
def test_bytes_are_a_state_or_refused(noise: bytes, data: st.DataObject) -> None:
    sample = encode_state(applied([(_click(place), np.ones(4, np.float32)) for place in range(3)], UserSettings()))
    at = data.draw(st.integers(0, len(sample)))
    for stored in (noise, b"\x01" + noise, sample[:at] + noise + sample[at:], sample[:at] + noise):
        try:
            state = decode_state(stored)
        except (BadState, NewerVersion):
            continue
        entries(state)
        interest_vectors(state)
        advance(state, _click(2**62), np.ones(4, np.float32), UserSettings())


def _click(offset: int, **fields: Any) -> Received:
    interaction = Interaction(user_id="u", item_id="a", timestamp=1.7e9, **fields)
    return Received(interaction, Source("clicks", 0, offset))


def _cosine(state: UserState | None, vector: Vector) -> float:
    assert state
    directions, _ = interest_vectors(state)
    return float((directions @ vector).max()) if len(directions) else 0.0


def _without_event_id(step: Step) -> Step:
    received, vector = step
    fields = {name: getattr(received.interaction, name) for name in Interaction.__struct_fields__}
    return Received(Interaction(**{**fields, "event_id": None}), received.source), vector


def _pushed_away(state: UserState) -> set[str]:
    return {entry.item_id for entry in entries(state) if not entry.positive}


def _precede(state: UserState, source: Source, window: int) -> bool:
    """Whether the whole window before this interaction is still remembered."""
    places = [entry.place for entry in entries(state)][::-1]
    return place_of(source) in places and places.index(place_of(source)) >= window
