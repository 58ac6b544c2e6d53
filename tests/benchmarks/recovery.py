"""How long a worker without anything on its disk takes to recover users from the changelog; prints JSON.

Run: .venv/bin/python tests/benchmarks/recovery.py [users], 100,000 by default; a broker of its own, one worker. The
states are real ones of 20 clicks; the time is that from joining the group to the answer of a click.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from kafka import KafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.live import engine, settings_on

from stream_engine import users
from stream_engine.events import Interaction, Received, Source
from stream_engine.local.broker import start_broker
from stream_engine.settings import Settings, UserSettings
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.topics import USERS_TABLE, changelog_topic
from stream_engine.vectors import unit

CACHE = Path(__file__).resolve().parents[2] / ".cache"
DIMENSIONS, CLICKS, KINDS = 384, 20, 16


def states() -> list[users.UserState]:
    """A few users of some clicks each; every user of the changelog has the state of one of them."""
    rng = np.random.default_rng(5)
    return [_state(unit(rng.normal(size=(CLICKS, DIMENSIONS))), kind) for kind in range(KINDS)]


def _state(vectors: np.ndarray, kind: int) -> users.UserState:
    state = None
    for at, vector in enumerate(vectors):
        interaction = Interaction(user_id="u", item_id=f"i-{kind}-{at}", timestamp=time.time() - CLICKS + at)
        state = users.advance(state, Received(interaction, Source("clicks", 0, at)), vector, UserSettings())
    assert state is not None
    return state


def fill(settings: Settings, count: int) -> int:
    """Put so many users on the changelog; returns the bytes of a state."""
    encoded = [users.encode_state(state) for state in states()]
    topic, partitions = changelog_topic(settings.kafka.group, USERS_TABLE), settings.kafka.partitions
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.broker, linger_ms=50, batch_size=1 << 19)) as producer:
        for number in range(count):
            key = b"user-%d" % number
            producer.send(topic, encoded[number % KINDS], key=key, partition=partition_of(key, partitions))
        producer.flush(timeout=300)
    return len(encoded[0])


def phases(log: str) -> Iterator[float]:
    """When the worker joined its group, and when it had recovered, in seconds of its log's clock."""
    for mark in ("(Re-)joining group", "Worker ready"):
        line = next(line for line in log.splitlines() if mark in line)
        stamp, millis = line[:23].split(",")
        yield time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) + int(millis) / 1000


def main(count: int = 100_000) -> None:
    """Fill, start, click, tell."""
    with tempfile.TemporaryDirectory() as folder, start_broker(Path(folder) / "broker", cache_dir=CACHE) as broker:
        made = settings_on(broker.bootstrap, "recovery", partitions=8)
        settings = made.model_copy(update={"stream": made.stream.model_copy(update={"verbose": True})})
        create_or_verify(settings)
        size = fill(settings, count)
        last, began = f"user-{count - 1}", time.monotonic()
        with engine(Path(folder) / "workers", settings, 1) as live:
            live.click(last, "i")
            live.list_of(last, CLICKS + 1)
            whole = time.monotonic() - began
            joined, recovered = phases(live.workers[0].log.read_text())
    answer = {
        "users": count,
        "bytes_a_state": size,
        "recovery_s": round(recovered - joined, 2),
        "users_a_second": round(count / (recovered - joined)),
        "start_to_answer_s": round(whole, 2),
        "load": round(os.getloadavg()[0], 1),
    }
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
