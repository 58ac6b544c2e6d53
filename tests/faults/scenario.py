"""Clicks flow while workers are hurt; afterwards every user's list must count every click exactly once."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cluster import Worker, cluster, wait_for
from traffic import Answers, Traffic

FAULTS = ("kill", "term", "freeze")


@dataclass
class Outcome:
    """What a scenario did, and what came of it; zeros where zeros belong."""

    workers: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    clicks: int = 0
    applied: int = 0
    lost: int = 0
    doubled: int = 0
    lists_missing: int = 0
    went_back: int = 0
    repeated: int = 0
    longest_gap: float = 0.0
    dead_letters: int = 0

    def row(self) -> dict[str, object]:
        """One line of the table."""
        return {**asdict(self), "faults": " ".join(f"{name}:{count}" for name, count in sorted(self.faults.items()))}


@dataclass
class Injector:
    """Hurts one worker every `every` seconds, in turn and by chance; never the last one standing twice at once."""

    workers: list[Worker]
    every: float
    chance: random.Random
    frozen_for: tuple[float, float]
    done: Counter[str] = field(default_factory=Counter)
    _next: float = 3.0
    _thaw: list[tuple[float, Worker]] = field(default_factory=list)
    _turn: int = 0

    def tick(self, elapsed: float) -> None:
        """Hurt, thaw and restart what is due."""
        now = time.monotonic()
        for worker in self.workers:
            worker.tend(now)
        for due, worker in [each for each in self._thaw if each[0] <= elapsed]:
            worker.signal(signal.SIGCONT)
            self._thaw.remove((due, worker))
        if elapsed >= self._next:
            self._hurt(elapsed)
            self._next = elapsed + self.every * self.chance.uniform(0.6, 1.4)

    def _hurt(self, elapsed: float) -> None:
        worker = self.chance.choice(self.workers)
        fault = FAULTS[self._turn % len(FAULTS)]
        self._turn += 1
        self.done[fault] += 1
        if fault == "kill":
            worker.signal(signal.SIGKILL)
        elif fault == "term":
            worker.signal(signal.SIGTERM)
        else:
            worker.signal(signal.SIGSTOP)
            self._thaw.append((elapsed + self.chance.uniform(*self.frozen_for), worker))

    def thaw_all(self) -> None:
        """Let everything run again."""
        for _, worker in self._thaw:
            worker.signal(signal.SIGCONT)
        self._thaw.clear()


def run(
    folder: Path,
    environment: dict[str, str],
    *,
    bootstrap: str,
    clicks: str,
    recommendations: str,
    workers: int,
    seconds: float,
    rate: float,
    every: float,
    seed: int,
    frozen_for: tuple[float, float],
    report: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run one scenario to its end and count."""
    outcome = Outcome(workers, seconds)
    traffic = Traffic(bootstrap, clicks, users=300, items=200, rate=rate, seed=seed)
    with cluster(folder, environment, workers) as running:
        answers = Answers(bootstrap, recommendations)
        injector = Injector(running, every, random.Random(seed), frozen_for)
        traffic.send(seconds, injector.tick)
        injector.thaw_all()
        until = time.monotonic() + 60

        def settled() -> bool:
            injector_now = time.monotonic()
            for worker in running:
                worker.tend(injector_now)
            return answers.reflects(traffic.sent) or time.monotonic() > until

        wait_for(settled, 70, "every click to be answered")
        outcome.faults = injector.done
        outcome.clicks = sum(traffic.sent.values())
        outcome.lost, outcome.doubled = answers.lost(traffic.sent), answers.doubled(traffic.sent)
        outcome.applied = outcome.clicks - outcome.lost
        outcome.lists_missing = answers.missing(traffic.sent)
        outcome.went_back = answers.backwards
        outcome.repeated = answers.repeated
        outcome.longest_gap = round(answers.longest_silence, 1)
        answers.close()
    report(str(outcome.row()))
    return outcome
