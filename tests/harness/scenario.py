"""Clicks flow while workers are hurt; afterwards every user's list must count every click exactly once."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaProducer

from harness.traffic import Answers, Traffic, sending
from harness.undisturbed import Account, Recovery, item_clicks_off, item_pairs_off, states_off, undisturbed
from harness.workers import WorkerProcess, cluster, wait_for
from stream_engine.settings import Settings
from stream_engine.streaming.reading import snapshot

FAULTS = ("kill", "term", "freeze")
USERS, ITEMS = 300, 200
KINDS = ("red tea pot", "garden chair", "winter coat", "city map", "desk lamp")
KNOWN = "stream_engine_items"
PATIENCE = 60.0  # seconds without any answer: what is missing is lost
BACKLOG = 20.0  # seconds of clicks not answered yet: no more are sent for the time being
TOLD_EVERY = 20.0  # seconds
ZERO = (
    "lost",
    "doubled",
    "lists_missing",
    "ids_off",
    "states_off",
    "item_clicks_off",
    "item_pairs_off",
    "dead_letters",
)
QUIET = 2.0  # seconds without a list: nothing more is to come


@dataclass(frozen=True)
class Plan:
    """How one scenario goes; seconds and clicks per second."""

    workers: int
    seconds: float
    rate: float = 300.0
    first: float = 3.0
    every: float = 8.0
    least: int = 0  # faults, however long a busy machine takes for them
    frozen_for: tuple[float, float] = (4.0, 9.0)  # around a session of 6 s: some wake up in time, some too late
    seed: int = 0


@dataclass
class Outcome:
    """What was done, and what came of it; `wrong` lists what is not as it must be."""

    plan: Plan
    faults: Counter[str]
    codes: Counter[int]  # how workers left
    clicks: int
    lost: int
    doubled: int
    lists_missing: int
    ids_off: int  # lists that answer the same click under another id
    states_off: int  # users whose recovered state is not that of an undisturbed run
    item_clicks_off: int  # clicks that the items' statistics miss or have too many
    item_pairs_off: int  # items whose pairs are not those of an undisturbed run
    dead_letters: int
    repeated: int
    backwards: int
    longest_gap: float
    longest_wait: float
    p50: float

    @property
    def applied(self) -> int:
        """Clicks that lists count."""
        return self.clicks - self.lost

    @property
    def wrong(self) -> dict[str, int]:
        """What should be zero and is not."""
        return {name: value for name in ZERO if (value := getattr(self, name))}


@dataclass
class Injector:
    """Hurts one ready worker at a time, the faults in turn, the worker by chance."""

    workers: list[WorkerProcess]
    plan: Plan
    session: float  # seconds; who is frozen for longer is replaced, and does not know
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    _next: float = 0.0
    _thaw: dict[WorkerProcess, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next = self.plan.first

    def tick(self, elapsed: float) -> None:
        """Restart, thaw and hurt what is due."""
        self.tend()
        for worker in [worker for worker, due in self._thaw.items() if due <= elapsed]:
            worker.signal(signal.SIGCONT)
            del self._thaw[worker]
        if elapsed < self._next:
            return
        whole = [worker for worker in self.workers if worker.ready()]
        if whole:
            self._hurt(self.chance.choice(whole), elapsed)
            self._next = elapsed + self.plan.every * self.chance.uniform(0.6, 1.4)

    def tend(self) -> None:
        """Start again those that have left."""
        for worker in self.workers:
            worker.tend(time.monotonic())

    def _hurt(self, worker: WorkerProcess, elapsed: float) -> None:
        fault = FAULTS[self.done.total() % len(FAULTS)]
        if fault == "freeze":
            lasting = self.chance.uniform(*self.plan.frozen_for)
            self._thaw[worker] = elapsed + lasting
            self.done["nap" if lasting < self.session else "freeze"] += 1
        else:
            self.done[fault] += 1
        worker.signal({"kill": signal.SIGKILL, "term": signal.SIGTERM, "freeze": signal.SIGSTOP}[fault])

    def thaw_all(self) -> None:
        """Let everything run again."""
        for worker in self._thaw:
            worker.signal(signal.SIGCONT)
        self._thaw.clear()


def silent(_: str) -> None:
    """For those who tell nobody how it goes."""


def run(folder: Path, settings: Settings, plan: Plan, tell: Callable[[str], object] = silent) -> Outcome:
    """Run one scenario on topics that exist and are empty, and count; from the main thread."""
    bootstrap = settings.kafka.broker
    publish_items(bootstrap, settings.topics.items)
    traffic = Traffic(bootstrap, settings.topics.clicks, USERS, ITEMS, plan.rate, plan.seed)
    with cluster(folder, settings, plan.workers) as workers:
        wait_for(lambda: all(worker.counted(KNOWN) == 2 * ITEMS for worker in workers), "workers to know the items")
        answers = Answers(bootstrap, settings.topics.recommendations, traffic.sent_at)
        injector = Injector(workers, plan, settings.kafka.session_timeout, random.Random(plan.seed))
        progress = Progress(traffic, answers, injector, tell)
        flow(progress, plan)
        settle(lambda: answers.reflects(traffic.sent), progress)
        settle(lambda: time.monotonic() - answers.heard_at > QUIET, progress)
        tell("all is quiet: the same log once more, undisturbed")
        wanted, recovery = undisturbed(settings), Recovery(settings)
        settle(lambda: same(recovery.account(), wanted), progress, patience=30.0)
    answers.close()
    found, sent = recovery.account(), traffic.sent
    return Outcome(
        plan=plan,
        faults=injector.done,
        codes=Counter(code for worker in workers for code in worker.codes),
        clicks=sum(sent.values()),
        lost=answers.lost(sent),
        doubled=answers.doubled(sent),
        lists_missing=answers.missing(sent),
        ids_off=answers.ids_off,
        states_off=states_off(found, wanted),
        item_clicks_off=item_clicks_off(found, wanted),
        item_pairs_off=item_pairs_off(found, wanted),
        dead_letters=sum(1 for _ in snapshot(settings.kafka, settings.topics.dead_letters)),
        repeated=answers.repeated,
        backwards=answers.backwards,
        longest_gap=answers.longest_gap,
        longest_wait=max(answers.latencies, default=0.0),
        p50=answers.quantile(0.5),
    )


@dataclass
class Progress:
    """How far a scenario has come, told from time to time."""

    traffic: Traffic
    answers: Answers
    injector: Injector
    tell: Callable[[str], object]
    _told_at: float = field(default_factory=time.monotonic)

    def waiting(self) -> int:
        """Clicks that were sent and not answered yet."""
        return sum(self.traffic.sent.values()) - self.answers.answered

    def tick(self) -> None:
        """Tell it where that is due."""
        if time.monotonic() - self._told_at >= TOLD_EVERY:
            self._told_at = time.monotonic()
            faults = self.injector.done.total()
            self.tell(f"{self.answers.answered} clicks answered, {self.waiting()} waiting, {faults} faults")


def flow(progress: Progress, plan: Plan) -> None:
    """Send for so long while workers are hurt, no faster than they keep up with."""
    injector, began = progress.injector, time.monotonic()
    with sending(progress.traffic, hold=lambda: progress.waiting() > BACKLOG * plan.rate):
        while (elapsed := time.monotonic() - began) < plan.seconds or injector.done.total() < plan.least:
            injector.tick(elapsed)
            progress.tick()
            time.sleep(0.05)
        injector.thaw_all()


def settle(done: Callable[[], bool], progress: Progress, patience: float = PATIENCE) -> None:
    """Return when done, or when nothing was answered for so long; who has left is started again meanwhile."""
    answered, since = -1, 0.0
    while not done():
        progress.injector.tend()
        progress.tick()
        if progress.answers.answered != answered:
            answered, since = progress.answers.answered, time.monotonic()
        if time.monotonic() - since > patience:
            return
        time.sleep(0.05)


def publish_items(bootstrap: str, topic: str) -> None:
    """The items that will be clicked, and as many that will not."""
    with closing(KafkaProducer(bootstrap_servers=bootstrap, acks="all")) as producer:
        for number in range(2 * ITEMS):
            item = {"item_id": f"item-{number}", "title": f"{KINDS[number % len(KINDS)]} number {number}"}
            producer.send(topic, json.dumps(item).encode(), key=item["item_id"].encode())
        producer.flush(timeout=60)


def same(found: Account, wanted: Account) -> bool:
    """Whether nothing is left to be counted."""
    return not any(off(found, wanted) for off in (states_off, item_clicks_off, item_pairs_off))
