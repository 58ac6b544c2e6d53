"""Clicks at a steady rate, and what comes back: who was answered, how often, and the longest silence."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError


@dataclass
class Traffic:
    """Sends clicks of `users` users on `items` items; counts what it sent per user."""

    bootstrap: str
    topic: str
    users: int
    items: int
    rate: float
    seed: int = 0
    sent: Counter[str] = field(default_factory=Counter)

    def send(self, seconds: float, tick: Any = lambda elapsed: None) -> None:
        """Send for so long, calling `tick(elapsed)` about fifty times a second."""
        chance = random.Random(self.seed)
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", linger_ms=5, delivery_timeout_ms=120_000, max_block_ms=60_000
        )
        began = time.monotonic()
        count = 0
        while (elapsed := time.monotonic() - began) < seconds:
            while count < elapsed * self.rate:
                user = f"user-{int(self.users * chance.random() ** 2)}"
                item = f"item-{int(self.items * chance.random() ** 2)}"
                click = {"user_id": user, "item_id": item, "event_id": f"{self.seed}-{count}"}
                producer.send(self.topic, json.dumps(click).encode(), key=user.encode())
                self.sent[user] += 1
                count += 1
            tick(elapsed)
            time.sleep(0.02)
        producer.flush(timeout=120)
        producer.close()


class Answers:
    """Reads the recommendation topic in a thread until closed."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.last: dict[str, dict[str, Any]] = {}
        self.times: Counter[str] = Counter()
        self.most: defaultdict[str, int] = defaultdict(int)
        self.backwards = 0
        self.answered_at: list[float] = []
        self.latencies: list[float] = []
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
        partitions = self._consumer.partitions_for_topic(topic) or set()
        self._consumer.assign([TopicPartition(topic, partition) for partition in partitions])
        self._consumer.seek_to_beginning()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                batches = self._consumer.poll(timeout_ms=100)
            except KafkaError:
                continue
            for records in batches.values():
                for record in records:
                    if record.value is not None:
                        self._take(json.loads(record.value))

    def _take(self, answer: dict[str, Any]) -> None:
        user = answer["user_id"]
        self.last[user] = answer
        self.times[answer["recommendation_id"]] += 1
        self.backwards += answer["interactions"] < self.most[user]
        self.most[user] = max(self.most[user], answer["interactions"])
        self.answered_at.append(time.monotonic())

    def reflects(self, sent: Counter[str]) -> bool:
        """Whether every user's last list counts exactly the clicks sent."""
        return all(self.last.get(user, {}).get("interactions") == count for user, count in sent.items())

    def lost(self, sent: Counter[str]) -> int:
        """Clicks that no last list counts."""
        return sum(max(0, count - self._counted(user)) for user, count in sent.items())

    def doubled(self, sent: Counter[str]) -> int:
        """Clicks that a last list counts beyond those sent."""
        return sum(max(0, self._counted(user) - count) for user, count in sent.items())

    def missing(self, sent: Counter[str]) -> int:
        """Users without a list."""
        return sum(user not in self.last for user in sent)

    def _counted(self, user: str) -> int:
        return int(self.last.get(user, {}).get("interactions", 0))

    @property
    def repeated(self) -> int:
        """Lists that came more than once, under the same id."""
        return sum(count - 1 for count in self.times.values())

    @property
    def longest_silence(self) -> float:
        """The longest time between two answers, in seconds."""
        return max((after - before for before, after in zip(self.answered_at, self.answered_at[1:], strict=False)), default=0.0)

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._thread.join(5)
        self._consumer.close()
