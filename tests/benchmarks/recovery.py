"""How long users wait for a worker that has nothing, one that has its disk, and one that followed; prints JSON.

Run: .venv/bin/python tests/benchmarks/recovery.py [users], 100,000 by default; a broker of its own. The states are real
ones of 20 clicks, on the changelog. A worker reads them; stops in order, which puts them all on its disk, and starts
again; does so once more with none of its disk; then one that followed it takes over what it leaves behind, killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from kafka import KafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.live import Live, settings_on
from harness.workers import WorkerProcess, cluster, wait_for

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


def phases(log: str) -> tuple[float, float]:
    """When a worker last joined its group, and when it had recovered, in seconds of its log's clock."""
    joined, recovered = (stamp(log, mark) for mark in ("(Re-)joining group", "Worker ready"))
    return joined, recovered


def stamp(log: str, mark: str) -> float:
    line = next(line for line in reversed(log.splitlines()) if mark in line)
    return time.mktime(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S")) + int(line[20:23]) / 1000


def started(live: Live, user: str, worker: WorkerProcess) -> dict[str, float]:
    """Start it with a click waiting; seconds from joining to ready, and from the start to the answer."""
    before, began = live.answers.interactions(user), time.monotonic()
    live.click(user, "i")
    worker.start()
    wait_for(lambda: live.answers.interactions(user) > before, "the answer", 120)
    whole = time.monotonic() - began
    wait_for(worker.ready, "the worker to be ready", 60)
    joined, recovered = phases(worker.log.read_text())
    return {"recovery_s": round(recovered - joined, 2), "start_to_answer_s": round(whole, 2)}


def stopped(worker: WorkerProcess) -> float:
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    worker.wait(120)
    return round(time.monotonic() - began, 2)


def taken_over(live: Live, user: str, followers: int) -> float:
    """Seconds from the end of one of two workers, killed, to the answer of a user it had."""
    stream = live.settings.stream.model_copy(update={"standby_replicas": followers})
    settings = live.settings.model_copy(update={"stream": stream})
    folder = live.workers[0].folder.parent / f"followed-{followers}"
    with cluster(folder, settings, 2, within=120) as (first, second):
        topic = changelog_topic(settings.kafka.group, USERS_TABLE)
        followed = f'stream_engine_recovered_total{{to="follow",topic="{topic}"}}'
        if followers:
            wait_for(lambda: second.counted(followed) > 0, "it to follow", 60)
            wait_still(lambda: first.counted(followed) + second.counted(followed))
        live.more_of(user, "i")
        owner = max((first, second), key=lambda each: each.counted('stream_engine_records_total{topic="clicks"}'))
        owner.signal(signal.SIGKILL)
        owner.wait()
        began = time.monotonic()
        live.more_of(user, "i")
        return round(time.monotonic() - began, 2)


def wait_still(count: Callable[[], float]) -> None:
    """Return when it grows no more."""
    last = -1.0
    while last < (last := count()):
        time.sleep(1.0)


def main(count: int = 100_000) -> None:
    """Fill, start, stop, start, kill, tell."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start_broker(Path(folder) / "broker", cache_dir=CACHE, lasting=True) as broker,
    ):
        made = settings_on(broker.bootstrap, "recovery", partitions=8)
        settings = made.model_copy(update={"stream": made.stream.model_copy(update={"verbose": True})})
        create_or_verify(settings)
        size = fill(settings, count)
        user, worker = f"user-{count - 1}", WorkerProcess(Path(folder) / "worker", settings)
        with closing(Live(settings, [worker])) as live:
            from_changelog = started(live, user, worker)
            saved = stopped(worker)
            from_disk = started(live, user, worker)
            again = stopped(worker)
            answer = {
                "users": count,
                "bytes_a_state": size,
                "from_changelog": from_changelog,
                "stop_s": {"first": saved, "again": again},
                "from_disk": from_disk,
                "session_s": settings.kafka.session_timeout,
                "killed_to_answer_s": {
                    "nobody_followed": taken_over(live, user, 0),
                    "followed": taken_over(live, user, 1),
                },
                "load": round(os.getloadavg()[0], 1),
            }
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
