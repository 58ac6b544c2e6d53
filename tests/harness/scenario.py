"""Clicks flow while workers are hurt; afterwards every user's list must count every click exactly once."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaProducer

from harness.traffic import Answers, Traffic
from harness.workers import WorkerProcess, cluster, wait_for
from stream_engine.items.statistics import decode_statistics
from stream_engine.settings import Settings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import ITEMS_TABLE, changelog_topic

FAULTS = ("kill", "term", "freeze")
USERS, ITEMS = 300, 200
KINDS = ("red tea pot", "garden chair", "winter coat", "city map", "desk lamp")
SETTLED_WITHIN = 120.0  # seconds
QUIET = 2.0  # seconds without a list: nothing more is to come


@dataclass(frozen=True)
class Plan:
    """How one scenario goes; seconds and clicks per second."""

    workers: int
    seconds: float
    rate: float = 300.0
    first: float = 3.0
    every: float = 8.0
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
    item_clicks_off: int  # clicks that the items' statistics miss or have too many
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
        names = ("lost", "doubled", "lists_missing", "item_clicks_off", "dead_letters")
        return {name: value for name in names if (value := getattr(self, name))}


@dataclass
class Injector:
    """Hurts one ready worker at a time, the faults in turn, the worker by chance."""

    workers: list[WorkerProcess]
    plan: Plan
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
        self.done[fault] += 1
        if fault == "freeze":
            self._thaw[worker] = elapsed + self.chance.uniform(*self.plan.frozen_for)
        worker.signal({"kill": signal.SIGKILL, "term": signal.SIGTERM, "freeze": signal.SIGSTOP}[fault])

    def thaw_all(self) -> None:
        """Let everything run again."""
        for worker in self._thaw:
            worker.signal(signal.SIGCONT)
        self._thaw.clear()


def run(folder: Path, settings: Settings, plan: Plan) -> Outcome:
    """Run one scenario on topics that exist and are empty, and count; from the main thread."""
    bootstrap = settings.kafka.broker
    publish_items(bootstrap, settings.topics.items)
    traffic = Traffic(bootstrap, settings.topics.clicks, USERS, ITEMS, plan.rate, plan.seed)
    with cluster(folder, settings, plan.workers) as workers:
        answers = Answers(bootstrap, settings.topics.recommendations, traffic.sent_at)
        injector = Injector(workers, plan, random.Random(plan.seed))
        flow(traffic, injector, plan.seconds)
        settle(lambda: answers.reflects(traffic.sent), injector)
        settle(lambda: time.monotonic() - answers.heard_at > QUIET, injector)
        settle(lambda: items_off(settings, traffic.by_item) == 0, injector, within=30.0)
    answers.close()
    sent = traffic.sent
    return Outcome(
        plan=plan,
        faults=injector.done,
        codes=Counter(code for worker in workers for code in worker.codes),
        clicks=sum(sent.values()),
        lost=answers.lost(sent),
        doubled=answers.doubled(sent),
        lists_missing=answers.missing(sent),
        item_clicks_off=items_off(settings, traffic.by_item),
        dead_letters=sum(1 for _ in snapshot(settings.kafka, settings.topics.dead_letters)),
        repeated=answers.repeated,
        backwards=answers.backwards,
        longest_gap=answers.longest_gap,
        longest_wait=max(answers.latencies, default=0.0),
        p50=answers.quantile(0.5),
    )


def flow(traffic: Traffic, injector: Injector, seconds: float) -> None:
    """Send for so long while workers are hurt."""
    stopping, failures = threading.Event(), list[Exception]()

    def send() -> None:
        try:
            traffic.send(stopping.is_set)
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        injector.tick(elapsed)
        time.sleep(0.05)
    injector.thaw_all()
    stopping.set()
    while sender.is_alive():
        injector.tend()
        sender.join(0.1)
    for failure in failures:
        raise failure


def settle(done: Callable[[], bool], injector: Injector, within: float = SETTLED_WITHIN) -> None:
    """Return when done, or after so long; who has left is started again meanwhile."""

    def ended() -> bool:
        injector.tend()
        return done() or time.monotonic() > until

    until = time.monotonic() + within
    wait_for(ended, "the scenario to settle", 2 * within)


def publish_items(bootstrap: str, topic: str) -> None:
    """The items that will be clicked, and as many that will not."""
    with closing(KafkaProducer(bootstrap_servers=bootstrap, acks="all")) as producer:
        for number in range(2 * ITEMS):
            item = {"item_id": f"item-{number}", "title": f"{KINDS[number % len(KINDS)]} number {number}"}
            producer.send(topic, json.dumps(item).encode(), key=item["item_id"].encode())
        producer.flush(timeout=60)


def items_off(settings: Settings, clicked: Mapping[str, int]) -> int:
    """By how many clicks the items' statistics differ from what was sent."""
    counted: dict[str, float] = {}
    for record in snapshot(settings.kafka, changelog_topic(settings.kafka.group, ITEMS_TABLE)):
        counted[record.key.decode()] = decode_statistics(record.value).clicks
    return round(sum(abs(counted.get(item, 0.0) - count) for item, count in clicked.items()))
