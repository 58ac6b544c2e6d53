"""Fetches of topics that can wait: at most so often, and never not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition
from harness.still import Clock

from stream_engine.streaming.pacing import Pacing

HURRIED, PATIENT = ("clicks", [(0, 5, 100)]), ("items", [(0, 7, 100)])
NODE, OTHER = 1, 2


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pacing(clock: Clock) -> Pacing:
    return Pacing({"items", "users"}, 0.05, clock)


def asked(pacing: Pacing, *topics: Any, node: int = NODE) -> tuple[list[str], int]:
    """The topics that are fetched of these, and how long the broker may wait (ms)."""

    def ask(assignment: Any) -> Any:
        named = {tp.topic for tp in assignment.tps}
        assert all(assignment.state_value(tp) == tp.topic for tp in assignment.tps)
        left = [each for each in topics if each[0] in named]
        return [(node, FetchRequest(200, 1, 1_000, 0, left, rack_id="here"))], {}, 5.0, False, []

    tps = frozenset(TopicPartition(topic, 0) for topic, _ in topics)
    actions = pacing.actions(ask, SimpleNamespace(tps=tps, state_value=lambda tp: tp.topic))
    ((to, paced),) = actions[0]
    assert actions[1:] == ({}, 5.0, False, [])
    assert to == node
    assert (paced._min_bytes, paced._max_bytes, paced._isolation_level, paced._rack_id) == (1, 1_000, 0, "here")
    assert all(each in topics for each in paced.topics)
    return [topic for topic, _ in paced.topics], paced._max_wait_ms


def test_what_can_wait_is_not_even_looked_at(pacing: Pacing, clock: Clock) -> None:
    looked: list[int] = []

    def ask(assignment: Any) -> Any:
        looked.append(len(assignment.tps))
        return (
            [(NODE, FetchRequest(200, 1, 1_000, 0, [HURRIED], rack_id=""))] if len(looked) != 2 else [],
            {},
            5.0,
            0,
            [],
        )

    whole = SimpleNamespace(tps=frozenset({TopicPartition("clicks", 0), TopicPartition("items", 0)}), state_value=None)
    for _ in range(5):  # everything is asked for, is on its way, has come; then for a while it is not due
        pacing.actions(ask, whole)
    clock.now += 0.06
    pacing.actions(ask, whole)
    assert looked == [2, 2, 2, 1, 1, 2]


def test_after_a_fetch_of_everything_a_while_is_for_what_cannot_wait(pacing: Pacing, clock: Clock) -> None:
    assert asked(pacing, HURRIED, PATIENT) == (["clicks", "items"], 200)
    clock.now += 10.0  # so long the broker had nothing
    assert asked(pacing, HURRIED, PATIENT) == (["clicks"], 50)
    clock.now += 0.03
    assert asked(pacing, HURRIED, PATIENT) == (["clicks"], 20)
    clock.now += 0.03
    assert asked(pacing, HURRIED, PATIENT) == (["clicks", "items"], 200)


def test_what_can_wait_does_not_where_nothing_else_is_to_be_fetched(pacing: Pacing, clock: Clock) -> None:
    for _ in range(3):
        assert asked(pacing, PATIENT) == (["items"], 200)
        clock.now += 0.001


def test_each_broker_has_its_own_pace(pacing: Pacing) -> None:
    assert asked(pacing, HURRIED, PATIENT) == (["clicks", "items"], 200)
    assert asked(pacing, HURRIED, PATIENT, node=OTHER) == (["clicks", "items"], 200)
    assert asked(pacing, HURRIED, PATIENT) == (["clicks"], 50)
