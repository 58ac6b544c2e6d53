"""A worker or two under clicks at fixed rates: the highest rate that is answered in time, and where the time goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalogue import publish
from harness.live import settings_on
from harness.workers import COMMAND, WorkerProcess, cluster

from stream_engine.local.broker import Broker
from stream_engine.settings import EncoderSettings, Settings
from stream_engine.streaming.admin import admin_client, create_or_verify
from stream_engine.streaming.topics import declared

HERE = Path(__file__).parent
BENCH_PYTHON = HERE.parents[1] / ".venv-bench" / "bin" / "python"
PARTITIONS = 2  # for as many workers as there are cores; what more of them cost, see scale.py
IN_TIME = 100.0  # ms that 99 of 100 clicks may wait
CLOSE_ENOUGH = 1.08  # the next higher rate tried would be less than 8 % more

Step = dict[str, Any]


@dataclass
class Stand:
    """A running engine, and the number of the next step."""

    settings: Settings
    workers: Sequence[WorkerProcess]
    broker: Broker
    items: int
    users: int = 5_000
    steps: list[Step] = field(default_factory=list)

    def step(self, rate: float, seconds: float) -> Step:
        """Click for so long; what it was like."""
        plan = {
            "bootstrap": self.broker.bootstrap,
            "clicks": self.settings.topics.clicks,
            "recommendations": self.settings.topics.recommendations,
            "rate": rate,
            "seconds": seconds,
            "items": self.items,
            "users": self.users,
            "seed": len(self.steps) + 1,
            "workers": [worker.pid for worker in self.workers],
            "broker": self.broker.pid,
        }
        before = self._waits()
        done = subprocess.run(
            [BENCH_PYTHON, HERE / "load.py", json.dumps(plan)], check=True, stdout=subprocess.PIPE, timeout=600
        )
        waited, chunks = (now - then for now, then in zip(self._waits(), before, strict=True))
        answer: Step = json.loads(done.stdout) | {
            "counted_after_seconds": round(waited / chunks, 1) if chunks else None
        }
        self.steps.append(answer)
        print(f"  {told(answer)}", file=sys.stderr, flush=True)  # noqa: T201
        return answer

    def _waits(self) -> tuple[float, float]:
        """How long chunks of what clicks say about items have waited until they were counted, in all, and how many."""
        seconds, chunks = (
            sum(
                worker.counted(f'stream_engine_latency_seconds_{what}{{topic="interactions"}}')
                for worker in self.workers
            )
            for what in ("sum", "count")
        )
        return seconds, chunks


def told(step: Step) -> str:
    """A step in a line."""
    late = ", ".join(f"{name} {step['ms'][name]:.1f}" for name in ("p50", "p90", "p99"))
    used = ", ".join(f"{name} {value:.2f}" for name, value in step["cpu_ms_per_click"].items())
    more = "; too many, given up" if step["given_up"] else ""
    age = "" if step["counted_after_seconds"] is None else f"; counted after {step['counted_after_seconds']} s"
    return f"{step['rate']:g} clicks/s: {late} ms; CPU-ms a click: {used}{age}{more}"


@contextmanager
def standing(
    broker: Broker,
    folder: Path,
    *,
    items: int,
    workers: int = 1,
    index: str = "edge",
    partitions: int = PARTITIONS,
    command: Sequence[str] = COMMAND,
) -> Iterator[Stand]:
    """Topics of their own, the catalogue on them, workers ready; all stopped at the end."""
    name = f"bench-{items}-{index}-{workers}-{partitions}-{len(list(folder.iterdir()))}"
    settings = settings_on(broker.bootstrap, name, encoder=EncoderSettings(), index=index, partitions=partitions)
    create(settings)
    publish(settings, items, folder / "scratch")
    with cluster(folder / name, settings, workers, command=command, within=120 + items / 1_000) as running:
        yield Stand(settings, running, broker, items)


def create(settings: Settings) -> None:
    """The engine's topics; the broker stamps clicks and lists as they arrive, which says where the time goes."""
    stamped = {settings.topics.clicks, settings.topics.recommendations}
    with admin_client(settings.kafka) as client:
        client.create_topics(
            {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": 1,
                    "configs": {**topic.configs, "message.timestamp.type": "LogAppendTime"},
                }
                for topic in declared(settings)
                if topic.name in stamped
            },
            wait_for_metadata=True,
        )
    create_or_verify(settings)


def in_time(step: Step) -> bool:
    """Whether 99 of 100 clicks were answered in time."""
    return not step["given_up"] and not step["unanswered"] and step["ms"]["p99"] < IN_TIME


def highest(measure: Callable[[float], Step], start: float) -> Step | None:
    """The step at the highest rate that is answered in time: doubling, then halving what lies between."""
    best, low, high = None, 0.0, start
    while in_time(step := measure(high)):
        best, low, high = step, high, 2 * high
    if best is None:
        low = high / 8
    while high / low > CLOSE_ENOUGH:
        middle = round((low * high) ** 0.5)
        if in_time(step := measure(middle)):
            best, low = step, middle
        else:
            high = middle
    return best
