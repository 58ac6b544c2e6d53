"""Fetches of topics that can wait: at most so often, and never not at all."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition
from harness.still import Clock

from stream_engine.streaming.intake import Intake
from stream_engine.streaming.pacing import Pacing

HURRIED, PATIENT = ("clicks", [(0, 5, 100)]), ("items", [(0, 7, 100)])
NODE, OTHER = 1, 2


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def intake(clock: Clock) -> Intake:
    return Intake(clock)


@pytest.fixture
def pacing(clock: Clock, intake: Intake) -> Pacing:
    return Pacing({"items", "users"}, 0.05, clock, intake)


@cache
def assignment(*topics: str) -> Any:
    """What aiokafka knows of a partition of each."""
    tps = frozenset(TopicPartition(topic, 0) for topic in topics)
    return SimpleNamespace(tps=tps, state_value=lambda tp: tp.topic)


def asked(pacing: Pacing, *topics: Any, node: int = NODE) -> tuple[list[str], int]:
    """The topics that are fetched of these, and how long the broker may wait (ms)."""

    def ask(assignment: Any) -> Any:
        named = {tp.topic for tp in assignment.tps}
        assert all(assignment.state_value(tp) == tp.topic for tp in assignment.tps)
        left = [each for each in topics if each[0] in named]
        return [(node, FetchRequest(200, 1, 1_000, 0, left, rack_id="here"))], {}, 5.0, False, []

    actions = pacing.actions(ask, assignment(*[topic for topic, _ in topics]))
    ((to, paced),) = actions[0]
    assert actions[1:] == ({}, 5.0, False, [])
    assert to == node
    assert (paced._min_bytes, paced._max_bytes, paced._isolation_level, paced._rack_id) == (1, 1_000, 0, "here")
    assert all(each in topics for each in paced.topics)
    return [topic for topic, _ in paced.topics], paced._max_wait_ms


class Looked:
    """How many of two partitions a fetcher looked at each time."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self.at: list[int] = []

    def look(self, *, busy: bool = False) -> list[str]:
        """The topics that are fetched: none where the broker is still busy with the last request."""

        def ask(assignment: Any) -> Any:
            self.at.append(len(assignment.tps))
            topics = [each for each in (HURRIED, PATIENT) if any(tp.topic == each[0] for tp in assignment.tps)]
            return [] if busy else [(NODE, FetchRequest(200, 1, 1_000, 0, topics, rack_id=""))], {}, 5.0, False, []

        requests = self._pacing.actions(ask, assignment("clicks", "items"))[0]
        return [topic for _, request in requests for topic, _ in request.topics]


def test_what_can_wait_is_not_even_looked_at_before_it_is_due(pacing: Pacing, clock: Clock) -> None:
    looked = Looked(pacing)
    assert looked.look() == ["clicks", "items"]
    assert looked.look(busy=True) == []
    assert looked.look() == looked.look() == looked.look() == ["clicks"]  # it has come
    assert looked.at == [2, 2, 1, 2, 1, 1], "where nothing is to be had, whether it is of what cannot wait"


async def test_nothing_is_asked_for_before_what_was_fetched_is_handled(pacing: Pacing, intake: Intake) -> None:
    looked = Looked(pacing)
    intake.close()
    assert looked.look() == []
    assert looked.at == []
    waited_for = pacing.actions(lambda _: pytest.fail("asked"), assignment("clicks"))[4]
    assert waited_for == [intake.opening()]
    intake.open()
    assert looked.look() == ["clicks", "items"]


def test_what_is_due_stays_due_while_the_broker_is_busy(pacing: Pacing, clock: Clock) -> None:
    looked = Looked(pacing)
    looked.look()
    looked.look()
    for _ in range(5):
        clock.now += 0.06
        assert looked.look(busy=True) == []
        clock.now += 0.01
        assert looked.look() == ["clicks", "items"]
        assert looked.look() == ["clicks"]


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


def test_what_nobody_took_of_a_topic_that_can_wait_holds_up_nothing_else(pacing: Pacing, clock: Clock) -> None:
    """aiokafka asks a broker for nothing as long as it has records of it that nobody took."""
    taken = True

    def ask(assignment: Any) -> Any:
        topics = [each for each in (HURRIED, PATIENT) if any(tp.topic == each[0] for tp in assignment.tps)]
        held_up = not taken and PATIENT in topics
        return [] if held_up else [(NODE, FetchRequest(200, 1, 1_000, 0, topics, rack_id=""))], {}, 5.0, False, []

    def look() -> list[tuple[list[str], int]]:
        requests = pacing.actions(ask, assignment("clicks", "items"))[0]
        return [([topic for topic, _ in request.topics], request._max_wait_ms) for _, request in requests]

    assert look() == [(["clicks", "items"], 200)]
    taken = False
    assert look() == [(["clicks"], 50)]
    clock.now += 0.06
    assert look() == look() == [(["clicks"], 50)], "it is due, but not to be had"
    taken = True
    assert look() == [(["clicks", "items"], 200)]


def test_each_broker_has_its_own_pace(pacing: Pacing) -> None:
    assert asked(pacing, HURRIED, PATIENT) == (["clicks", "items"], 200)
    assert asked(pacing, HURRIED, PATIENT, node=OTHER) == (["clicks", "items"], 200)
    assert asked(pacing, HURRIED, PATIENT) == (["clicks"], 50)
