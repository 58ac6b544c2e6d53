"""Interests kept in bytes, click by click, held to the exact recomputation from full history in float64."""

import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_engine.events import EventType, Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users import UserState, advance, decode_state, encode_state, interest_vectors

Sum = NDArray[np.float64]
DIMENSIONS = 384
seeds = st.integers(0, 2**32)


class Event(NamedTuple):
    """One event that moves interests."""

    event_type: EventType
    vector: Sum
    timestamp: float


@dataclass
class Exact:
    """The definition, in sums of float64 and nothing rounded."""

    settings: UserSettings
    sums: list[Sum] = field(default_factory=list)
    clock: float = 0.0

    def learn(self, event: Event) -> None:
        clock = max(self.clock, event.timestamp)
        weight = self.settings.weights[event.event_type]
        factor = 0.5 ** ((clock - self.clock) / self.settings.half_life) * math.exp(-abs(weight) / self.settings.memory)
        self.clock = clock
        self.sums = [total * factor for total in self.sums if np.linalg.norm(total * factor) > 1e-9]
        vector = event.vector / np.linalg.norm(event.vector)
        if weight > 0:
            self._toward(vector, weight)
        elif self.sums:
            self._away(vector, -weight)

    def _toward(self, vector: Sum, weight: float) -> None:
        nearest = self._nearest(vector)
        if nearest >= 0 and (
            cosine(self.sums[nearest], vector) >= self.settings.similarity or self.settings.interests == 1
        ):
            self.sums[nearest] = self.sums[nearest] + weight * vector
            return
        if len(self.sums) == self.settings.interests:
            one, other = min(combinations(range(len(self.sums)), 2), key=lambda pair: self._loss(*pair))
            merged = self.sums[one] + self.sums[other]
            self.sums = [*(s for place, s in enumerate(self.sums) if place not in (one, other)), merged]
        self.sums.append(weight * vector)

    def _away(self, vector: Sum, weight: float) -> None:
        nearest = self._nearest(vector)
        old = self.sums[nearest]
        rest = old - vector * min(weight, max(float(old @ vector), 0.0))
        self.sums[nearest] = rest
        if np.linalg.norm(rest) < 0.3 * np.linalg.norm(old):
            self.sums.pop(nearest)

    def _nearest(self, vector: Sum) -> int:
        return max(range(len(self.sums)), key=lambda place: cosine(self.sums[place], vector), default=-1)

    def _loss(self, one: int, other: int) -> float:
        first, second = self.sums[one], self.sums[other]
        return float(np.linalg.norm(first) + np.linalg.norm(second) - np.linalg.norm(first + second))


class Kept:
    """The real thing, through bytes after every event."""

    def __init__(self, configuration: UserSettings) -> None:
        self._settings = configuration
        self._offset = 0
        self.state = UserState()

    def learn(self, event: Event) -> None:
        interaction = Interaction(
            user_id="u", item_id=str(self._offset), event_type=event.event_type, timestamp=event.timestamp
        )
        received = Received(interaction, Source("clicks", 0, self._offset))
        advanced = advance(self.state, received, event.vector.astype(np.float32), self._settings)
        self.state = decode_state(encode_state(advanced))
        self._offset += 1

    @property
    def sums(self) -> list[Sum]:
        directions, lengths = interest_vectors(self.state)
        return list((directions * lengths[:, None]).astype(np.float64))


def cosine(one: Sum, other: Sum) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def furthest(kept: list[Sum], exact: list[Sum]) -> float:
    """Of the exact interests' cosines to the one kept for each, the least."""
    assert len(kept) == len(exact)
    return min((max(cosine(other, total) for other in kept) for total in exact), default=1.0)


def walk(rng: np.random.Generator, centres: Sum, steps: int, types: list[EventType], noise: float) -> list[Event]:
    """Clicks near one centre after another, an hour apart on average, some of them late."""
    clock, events = 1.7e9, []
    for _ in range(steps):
        clock += rng.exponential(3_600)
        late = rng.random() < 0.2
        vector = centres[rng.integers(len(centres))] + noise * rng.normal(size=centres.shape[1])
        event_type = types[rng.integers(len(types))]
        events.append(Event(event_type, vector, clock - late * rng.exponential(86_400)))
    return events


def units(rng: np.random.Generator, count: int) -> Sum:
    rows = rng.normal(size=(count, DIMENSIONS))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 3), st.sampled_from([1.0, 20.0, 200.0]), st.sampled_from([3_600.0, 604_800.0, 1e9]))
def test_interests_are_those_of_the_full_history(seed: int, kinds: int, memory: float, half_life: float) -> None:
    rng = np.random.default_rng(seed)
    configuration = UserSettings(memory=memory, half_life=half_life, weights={"dislike": -0.1})
    types: list[EventType] = ["click", "view", "purchase", "like"]
    if memory > 1 and half_life > 3_600:  # what a dislike leaves of next to nothing is mostly rounding
        types.append("dislike")
    exact, kept = Exact(configuration), Kept(configuration)
    for event in walk(rng, units(rng, kinds), 300, types, 0.015):
        exact.learn(event)
        kept.learn(event)
        for total in exact.sums:
            if np.linalg.norm(total) > 1e-6:
                found = max(kept.sums, key=lambda other: cosine(other, total))
                assert cosine(found, total) >= 0.99
                assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(total), rel=0.05)


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.5, 2.0]))
def test_one_interest_of_anything_is_that_of_the_full_history(seed: int, drift: float) -> None:
    """However unlike the vectors: their mean, with older ones fading."""
    rng = np.random.default_rng(seed)
    configuration = UserSettings(interests=1, memory=100.0)
    exact, kept = Exact(configuration), Kept(configuration)
    for event in walk(rng, units(rng, 20) + drift * units(rng, 1), 300, ["click", "view", "purchase"], 0.05):
        exact.learn(event)
        kept.learn(event)
        assert furthest(kept.sums, exact.sums) >= 0.99


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 4), st.floats(-1, 1))
def test_interests_add_up_to_the_decayed_history(seed: int, limit: int, similarity: float) -> None:
    """Which interest a vector is in, and what was merged, changes nothing of their sum."""
    rng = np.random.default_rng(seed)
    configuration = UserSettings(interests=limit, similarity=similarity)
    exact, kept = Exact(UserSettings(interests=1)), Kept(configuration)
    for event in walk(rng, units(rng, 12) + 0.5 * units(rng, 1), 200, ["click", "view", "purchase"], 0.02):
        exact.learn(event)
        kept.learn(event)
        assert len(kept.sums) <= limit
        assert furthest([np.sum(kept.sums, axis=0)], exact.sums) >= 0.99


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 4), st.floats(0, 0.9))
def test_each_step_is_the_exact_one(seed: int, limit: int, similarity: float) -> None:
    """From what is kept, one event of any kind leads where the definition leads, but for one rounding."""
    rng = np.random.default_rng(seed)
    configuration = UserSettings(interests=limit, similarity=similarity)
    kept = Kept(configuration)
    types: list[EventType] = ["click", "view", "purchase", "dislike", "remove_from_cart"]
    for event in walk(rng, units(rng, 6) + 0.5 * units(rng, 1), 100, types, 0.03):
        exact = Exact(configuration, kept.sums, kept.state.updated_at)
        exact.learn(event)
        kept.learn(event)
        assert furthest(kept.sums, exact.sums) >= 0.9995


def test_small_changes_are_not_swallowed_by_rounding() -> None:
    """A thousand times a thousandth of the way: rounding to nearest stands still."""
    configuration = UserSettings(interests=1, memory=200.0, half_life=1e12, weights={"view": 0.2, "purchase": 10.0})
    start, goal = units(np.random.default_rng(3), 2)
    exact, kept = Exact(configuration), Kept(configuration)
    for offset in range(1_000):
        event = Event("purchase" if offset < 20 else "view", start if offset < 20 else goal, 1.7e9 + offset)
        exact.learn(event)
        kept.learn(event)
    assert cosine(exact.sums[0], goal) > 0.6
    assert furthest(kept.sums, exact.sums) >= 0.99
