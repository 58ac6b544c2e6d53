"""Clicks at a fixed rate by the clock, and how late each is answered: an open loop, in `.venv-bench`; prints JSON.

A click counts from when it should have been sent, whether or not its sender kept up; a list answers all of its user's
clicks up to the one that triggered it, and a click nobody answers counts as the longest wait there was.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec
from clickstream import clicks
from confluent_kafka import Consumer, Producer, TopicPartition
from hdrh.histogram import HdrHistogram
from proc import cpu_seconds, peak_mb

CURVE = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100)
WARM_UP = 0.25  # of the time
GIVE_UP_BEHIND = 2.0  # seconds of clicks unanswered: this rate is too high, no need to wait for the end
ANSWERED_WITHIN = 90.0
HALF_MS = 0.0005  # the broker's timestamps are cut to the millisecond
PROCESSES = ("workers", "broker", "load")
PARTS = ("producer", "broker_in", "fetch_and_queue", "engine_and_publish", "broker_out")


class Plan(msgspec.Struct, kw_only=True):
    """One step."""

    bootstrap: str
    clicks: str
    recommendations: str
    rate: float
    seconds: float
    items: int
    users: int
    seed: int
    workers: list[int]  # process ids
    broker: int


class _Trigger(msgspec.Struct):
    event_id: str


class _List(msgspec.Struct):
    user_id: str
    generated_at: float
    trigger: _Trigger


class Step:
    """A step under way; times are of the wall clock, in seconds."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.records = clicks(int(plan.rate * plan.seconds), plan.users, plan.items, plan.seed)
        self.first = int(len(self.records) * WARM_UP)
        self.began = 0.0
        self.sent = 0
        self.sent_at = [0.0] * len(self.records)
        self.appended_at = [0.0] * len(self.records)
        self.answers: dict[int, tuple[float, float, float]] = {}  # by click: list generated, appended, consumed
        self.lists = 0
        self.used_from: dict[str, float] = {}
        self.stop = threading.Event()
        self._mine: defaultdict[str, list[int]] = defaultdict(list)
        for number, (key, _) in enumerate(self.records):
            self._mine[key.decode()].append(number)
        for numbers in self._mine.values():
            numbers.reverse()

    def due(self, number: int) -> float:
        """When a click should be sent."""
        return self.began + number / self.plan.rate

    def run(self) -> dict[str, Any]:
        """Send, listen, sum up."""
        consumer = self._consumer()
        self.began = time.time() + 0.1
        sender = threading.Thread(target=self._send, daemon=True)
        sender.start()
        self._listen(consumer, sender)
        sender.join()
        used = {name: (cpu - self.used_from.get(name, 0.0)) for name, cpu in self._used().items()}
        consumer.close()
        return self._summary(used)

    def _consumer(self) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": self.plan.bootstrap,
                "group.id": "bench-listener",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 262_144,
            }
        )
        topic = self.plan.recommendations
        numbers = consumer.list_topics(topic).topics[topic].partitions
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in numbers]
        consumer.assign([TopicPartition(topic, number, end) for number, end in zip(numbers, ends, strict=True)])
        consumer.poll(0.5)
        return consumer

    def _send(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self.plan.bootstrap, "linger.ms": 0.5, "partitioner": "murmur2_random"}
        )
        producer.list_topics(self.plan.clicks)
        for number, (key, value) in enumerate(self.records):
            while (ahead := self.due(number) - time.time()) > 0:
                producer.poll(0)
                time.sleep(ahead)
            if self.stop.is_set():
                break
            if number == self.first:
                self.used_from = self._used()
            self.sent_at[number] = time.time()
            producer.produce(self.plan.clicks, value, key, on_delivery=partial(self._delivered, number))
            self.sent = number + 1
            producer.poll(0)
        producer.flush(30)

    def _delivered(self, number: int, error: Any, message: Any) -> None:
        if error is None:
            self.appended_at[number] = message.timestamp()[1] / 1000 + HALF_MS

    def _listen(self, consumer: Consumer, sender: threading.Thread) -> None:
        decoder = msgspec.json.Decoder(_List)
        until = self.due(len(self.records)) + ANSWERED_WITHIN
        while (sender.is_alive() or len(self.answers) < self.sent) and time.time() < until:
            message = consumer.poll(0.05)
            now = time.time()
            if self.sent - len(self.answers) > GIVE_UP_BEHIND * self.plan.rate:
                self.stop.set()
            if message is None or message.error() or message.value() is None:
                continue
            self._take(decoder.decode(message.value()), message.timestamp()[1] / 1000 + HALF_MS, now)

    def _take(self, answer: _List, appended: float, now: float) -> None:
        step, _, number = answer.trigger.event_id.partition("-")
        if step != str(self.plan.seed):
            return
        last, mine = int(number), self._mine[answer.user_id]
        self.lists += last >= self.first
        while mine and mine[-1] <= last:
            self.answers[mine.pop()] = answer.generated_at, appended, now

    def _used(self) -> dict[str, float]:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "workers": sum(map(cpu_seconds, self.plan.workers)),
            "broker": cpu_seconds(self.plan.broker),
            "load": own.ru_utime + own.ru_stime,
            "clock": time.time(),
        }

    def _summary(self, used: dict[str, float]) -> dict[str, Any]:
        measured = range(self.first, self.sent)
        longest = time.time() - self.began
        late = [self.answers[n][2] - self.due(n) if n in self.answers else longest for n in measured]
        histogram = HdrHistogram(1, 600_000_000, 3)
        for seconds in late:
            histogram.record_value(max(1, int(seconds * 1e6)))
        count = max(1, len(measured))
        return {
            "rate": self.plan.rate,
            "clicks": len(measured),
            "given_up": self.stop.is_set(),
            "unanswered": self.sent - len(self.answers),
            "lists_per_click": round(self.lists / count, 3),
            "ms": {f"p{p:g}": histogram.get_value_at_percentile(p) / 1000 for p in CURVE},
            "cpu_ms_per_click": {name: round(1000 * used[name] / count, 4) for name in PROCESSES},
            "cores": {name: round(used[name] / used["clock"], 2) for name in PROCESSES},
            "peak_rss_mb": [round(peak_mb(pid)) for pid in self.plan.workers],
            "where_ms": self._where(measured),
            "histogram": histogram.encode().decode(),
        }

    def _where(self, measured: range) -> dict[str, dict[str, float]]:
        """Where the time goes, in milliseconds: each part of the way of all clicks, and of the slowest hundredth."""
        ways = sorted(filter(None, map(self._way, measured)), key=sum)
        slowest = ways[len(ways) * 99 // 100 :]
        columns = zip(PARTS, zip(*ways, strict=True), zip(*slowest, strict=True), strict=False)
        return {name: _quantiles(all_of_it) | {"slowest": _mean(slow)} for name, all_of_it, slow in columns}

    def _way(self, number: int) -> tuple[float, ...]:
        """How long a click took for each part; nothing if it was not answered."""
        if number not in self.answers or not self.appended_at[number]:
            return ()
        marks = (self.due(number), self.sent_at[number], self.appended_at[number], *self.answers[number])
        return tuple(1000 * (end - begin) for begin, end in pairwise(marks))


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"p50": round(ordered[last // 2], 2), "p90": round(ordered[int(last * 0.9)], 2), "mean": _mean(values)}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 2)


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    print(json.dumps(Step(msgspec.json.decode(sys.argv[1], type=Plan)).run()))  # noqa: T201
