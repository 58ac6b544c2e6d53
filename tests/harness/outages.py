"""How long users go without an answer when a worker comes, goes, dies or freezes: one event at a time, under load."""

from __future__ import annotations

import signal
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from harness.scenario import ITEMS, USERS, publish_items
from harness.traffic import Answers, Traffic, sending
from harness.workers import WorkerProcess, cluster, wait_for
from stream_engine.settings import Settings

ADDED, REMOVED, KILLED, FROZEN = "added", "SIGTERM", "kill -9", "SIGSTOP"
AIMS = {ADDED: 3.0, REMOVED: 3.0, KILLED: 10.0, FROZEN: 10.0}  # seconds
SIGNALS = {REMOVED: signal.SIGTERM, KILLED: signal.SIGKILL, FROZEN: signal.SIGSTOP}
LIVELY = 1.5  # seconds: a partition whose last answer is younger is served
STEADY = 3.0  # seconds of that for all partitions: the event is over
WITHIN = 120.0


@dataclass(frozen=True)
class Outage:
    """What happened, and the longest time that some partition's users went without."""

    kind: str
    seconds: float


@dataclass
class Watcher:
    """Tells from the answers which partitions are served."""

    answers: Answers
    partitions: int

    def served(self) -> bool:
        """Whether every partition was answered lately."""
        last = [times[-1] for times in self.answers.heard.values()]
        return len(last) == self.partitions and min(last) > time.monotonic() - LIVELY

    def wait_steady(self) -> None:
        """Return when all partitions have been served for some seconds."""
        since = time.monotonic()

        def steady() -> bool:
            nonlocal since
            since = since if self.served() else time.monotonic()
            return time.monotonic() - since > STEADY

        wait_for(steady, "every partition to be served", WITHIN)

    def outage(self, kind: str, begin: float) -> Outage:
        """What has come of an event at monotonic time `begin`, once it is over."""
        self.wait_steady()
        return Outage(kind, longest_gap(self.answers.heard, begin))


def longest_gap(heard: Mapping[int, Sequence[float]], begin: float) -> float:
    """The longest time between two answers of a partition, the second after `begin`."""

    def of(times: Sequence[float]) -> float:
        since = times[max(0, bisect_left(times, begin) - 1) :]
        return max((after - before for before, after in pairwise(since)), default=0.0)

    return max(of(list(times)) for times in heard.values())


def measure(folder: Path, settings: Settings, *, workers: int, rounds: int, rate: float) -> list[Outage]:
    """Each kind so often, on topics that exist and are empty; from the main thread."""
    publish_items(settings.kafka.broker, settings.topics.items)
    traffic = Traffic(settings.kafka.broker, settings.topics.clicks, USERS, ITEMS, rate)
    with (
        cluster(folder, settings, workers) as running,
        sending(traffic),
        closing(Answers(settings.kafka.broker, settings.topics.recommendations)) as answers,
    ):
        watcher = Watcher(answers, settings.kafka.partitions)
        watcher.wait_steady()
        return [
            outage
            for number in range(rounds)
            for place, kind in enumerate(SIGNALS)
            for outage in gone_and_back(watcher, running[(number + place) % workers], kind)
        ]


def gone_and_back(watcher: Watcher, worker: WorkerProcess, kind: str) -> Iterator[Outage]:
    """One worker leaves in some way; when all is well without it, it comes again."""
    begin = time.monotonic()
    worker.signal(SIGNALS[kind])
    yield watcher.outage(kind, begin)
    worker.signal(signal.SIGCONT)
    worker.wait()
    begin = time.monotonic()
    worker.start()
    wait_for(worker.ready, "the worker to be back", WITHIN)
    yield watcher.outage(ADDED, begin)
