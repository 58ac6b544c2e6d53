"""What is to happen in one schedule, drawn from its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from simulation.group import SESSION

ERASES = 0.08  # of what users do
ACTIVE = 3 * SESSION  # clicks arrive and things go wrong for so long


@dataclass(frozen=True, slots=True)
class Click:
    """When which user clicks; `skips` offsets are left out before it."""

    at: float
    user: int
    skips: int
    erases: bool = False  # the user, instead


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to whom, when, and for how long."""

    at: float
    kind: str
    worker: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule."""

    workers: int
    partitions: int
    clicks: tuple[Click, ...]
    faults: tuple[Fault, ...]
    chunk_size: int
    failing: float  # chance that a send fails
    slip: float  # chance that a fetch brings records once more
    late: bool  # whether a write may be held up after the lease was looked at
    disk: bool  # whether states are saved, and outlive processes
    follow: bool  # whether others' partitions are followed


LONGEST = {
    "freeze": 2.5,
    "stall": 0.6,
    "kill": 1.0,
    "stop": 1.0,
    "cut": 2.5,
    "apart": 2.5,
    "hold": 2.5,
    "away": 0.8,
    "rebalance": 0.0,
    "compact": 0.0,
}
ON_ITS_WAY = ("cut", "apart", "hold")  # what is written may arrive long after
KINDS = ("freeze", "freeze", "stall", "kill", "stop", *ON_ITS_WAY, "away", "rebalance", "rebalance", "compact")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a plan may hold: with `late`, writes that are held up; with `strangers`, nobody clicks twice."""

    kinds: tuple[str, ...] = KINDS
    faults: int = 5  # at most
    clicks: int = 18  # at most
    late: bool = True
    strangers: bool = False


ANY = Conditions()


def draw(chance: random.Random, conditions: Conditions = ANY) -> Plan:
    """A plan."""
    workers, users = chance.choice((1, 2, 2, 2, 3)), chance.randint(1, 4)
    return Plan(
        workers=workers,
        partitions=chance.choice((1, 2, 3)),
        clicks=_clicks(chance, users, conditions),
        faults=_faults(chance, workers, conditions),
        chunk_size=chance.choice((1, 2, 10)),
        failing=chance.choice((0.0, 0.0, 0.2)),
        slip=chance.choice((0.0, 0.0, 0.1)),
        late=conditions.late,
        disk=chance.random() < 0.4,
        follow=chance.random() < 0.3,
    )


def _clicks(chance: random.Random, users: int, conditions: Conditions) -> tuple[Click, ...]:
    times = sorted(chance.uniform(0, ACTIVE) for _ in range(chance.randint(5, conditions.clicks)))
    drawn = [(at, chance.randrange(users), int(chance.random() < 0.1), chance.random() < ERASES) for at in times]
    return tuple(
        Click(at, n if conditions.strangers else user, skips, erases and not conditions.strangers)
        for n, (at, user, skips, erases) in enumerate(drawn)
    )


def _faults(chance: random.Random, workers: int, conditions: Conditions) -> tuple[Fault, ...]:
    times = sorted(chance.uniform(0.3, ACTIVE) for _ in range(chance.randint(0, conditions.faults)))
    drawn = [(at, chance.choice(conditions.kinds), chance.randrange(workers), chance.random()) for at in times]
    return tuple(Fault(at, kind, worker, share * LONGEST[kind] * SESSION) for at, kind, worker, share in drawn)
