"""Clicks at a steady rate, and what comes back: who was answered, how often, how late."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

SentAt = dict[str, list[float]]
"""When each click of a user was sent, monotonic seconds."""


@dataclass
class Traffic:
    """Clicks of `users` users on `items` items, the first of each more often; keeps what it sent."""

    bootstrap: str
    topic: str
    users: int
    items: int
    rate: float
    seed: int = 0
    sent_at: SentAt = field(default_factory=lambda: defaultdict(list))

    @property
    def sent(self) -> dict[str, int]:
        """Clicks sent, by user."""
        return {user: len(times) for user, times in list(self.sent_at.items())}

    def send(self, stop: Callable[[], bool], hold: Callable[[], bool]) -> None:
        """Send until told to stop, but not while on hold; returns when all is on the broker, or raises."""
        chance = random.Random(self.seed)
        with closing(KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=5, **PATIENT)) as producer:
            before, due, pending = time.monotonic(), 0.0, []
            while not stop():
                now = time.monotonic()
                due += 0.0 if hold() else (now - before) * self.rate
                before = now
                while len(pending) < due:
                    pending.append(self._click(producer, chance, len(pending)))
                time.sleep(0.02)
            for each in pending:
                each.get(timeout=120)

    def _click(self, producer: KafkaProducer, chance: random.Random, number: int) -> Any:
        user = f"user-{int(self.users * chance.random() ** 2)}"
        item = f"item-{int(self.items * chance.random() ** 2)}"
        self.sent_at[user].append(time.monotonic())
        click = {"user_id": user, "item_id": item, "event_id": f"{self.seed}-{number}"}
        return producer.send(self.topic, json.dumps(click).encode(), key=user.encode())


PATIENT = {"delivery_timeout_ms": 120_000, "max_block_ms": 120_000}


@contextmanager
def sending(traffic: Traffic, hold: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Clicks flow meanwhile; afterwards all are on the broker, or what went wrong is raised."""
    stopping = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(traffic.send, stopping.is_set, hold)
        try:
            yield
        finally:
            stopping.set()
        sent.result()


class Answers:
    """Reads the recommendations in a thread until closed; the traffic's `sent_at` tells how late they are."""

    def __init__(self, bootstrap: str, topic: str, sent_at: Mapping[str, list[float]] | None = None) -> None:
        self.last: dict[str, dict[str, Any] | None] = {}
        self.times: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.answered = 0  # clicks, each once
        self.heard: defaultdict[int, list[float]] = defaultdict(list)  # by the partition of the click
        self.backwards = 0
        self.ids_off = 0
        self.longest_gap = 0.0
        self.heard_at = 0.0
        self._sent_at = {} if sent_at is None else sent_at
        self._most: defaultdict[str, int] = defaultdict(int)
        self._ids: dict[tuple[str, int, int], str] = {}
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        partitions = [TopicPartition(topic, each) for each in self._consumer.partitions_for_topic(topic) or ()]
        self._consumer.assign(partitions)
        self._consumer.seek_to_beginning()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                batches = self._consumer.poll(timeout_ms=50)
            except KafkaError:
                continue
            now = time.monotonic()
            for records in batches.values():
                for record in records:
                    self._take(record.key.decode(), record.value, now)

    def _take(self, user: str, value: bytes | None, now: float) -> None:
        if value is None:
            self.last[user] = None
            return
        answer = json.loads(value)
        count, most = answer["interactions"], self._most[user]
        name, trigger = answer["recommendation_id"], answer["trigger"]
        self.last[user] = answer
        self.heard[trigger["partition"]].append(now)
        self.times[name] += 1
        self.backwards += count < most
        self.ids_off += self._ids.setdefault((user, trigger["partition"], trigger["offset"]), name) != name
        self.latencies += [now - sent for sent in self._sent_at.get(user, ())[most:count]]
        self.answered += max(0, count - most)
        self._most[user] = max(most, count)
        self.longest_gap = max(self.longest_gap, now - self.heard_at if self.heard_at else 0.0)
        self.heard_at = now

    def interactions(self, user: str) -> int:
        """How many interactions the user's last list counts; 0 without one."""
        return int((self.last.get(user) or {}).get("interactions", 0))

    def item_ids(self, user: str) -> list[str]:
        """The user's last list."""
        return [item["item_id"] for item in (self.last.get(user) or {}).get("items", ())]

    def reflects(self, sent: Mapping[str, int]) -> bool:
        """Whether every user's last list counts exactly the clicks sent."""
        return all(self.interactions(user) == count for user, count in sent.items())

    def lost(self, sent: Mapping[str, int]) -> int:
        """Clicks that no last list counts."""
        return sum(max(0, count - self.interactions(user)) for user, count in sent.items())

    def doubled(self, sent: Mapping[str, int]) -> int:
        """Clicks that a last list counts beyond those sent."""
        return sum(max(0, self.interactions(user) - count) for user, count in sent.items())

    def missing(self, sent: Mapping[str, int]) -> int:
        """Users without a list, or with an empty one."""
        return sum(not self.item_ids(user) for user in sent)

    @property
    def repeated(self) -> int:
        """Lists that came more than once, under the same id."""
        return sum(count - 1 for count in self.times.values())

    def quantile(self, q: float) -> float:
        """How late the q-th of the clicks was first answered, in seconds."""
        late = sorted(self.latencies)
        return late[min(len(late) - 1, int(q * len(late)))] if late else 0.0

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._thread.join(10)
        self._consumer.close()
