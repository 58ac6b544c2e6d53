"""Peers in the same run: each drains the same backlog of clicks, several rounds in turn; CPU of its process a click."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from catalogue import publish
from clickstream import clicks
from harness.live import settings_on
from harness.workers import COMMAND, wait_for
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from openloop import BENCH_PYTHON
from proc import cpu_seconds, peak_mb

from stream_engine.local.broker import Broker
from stream_engine.local.processes import last_lines, spawn, stop_all
from stream_engine.settings import EncoderSettings, Settings, environment
from stream_engine.streaming.admin import create_or_verify

PEERS = Path(__file__).with_name("peers")
USERS = 5_000
SETTLED = 1.5  # seconds without a list: all are out, for those that merge a user's clicks into one
DRAINED_WITHIN = 300.0
READY_WITHIN = 120.0
FAUST = ("worker", "-l", "warn", "--without-web")


class Peer(NamedTuple):
    """How to start it; `engine`: it makes lists, not only counts; `merges`: a list may answer two clicks."""

    command: Sequence[str]
    engine: bool = True
    merges: bool = False
    variables: Sequence[tuple[str, str]] = ()


def _ours(script: str, *arguments: str) -> list[str]:
    return [sys.executable, str(PEERS / script), *arguments]


PEER = {
    "worker": Peer(COMMAND, merges=True),
    "bare_loop": Peer(_ours("bare_loop.py"), merges=True),
    "stock_faust": Peer(_ours("stock_faust.py", *FAUST)),
    "quix": Peer([str(BENCH_PYTHON), str(PEERS / "quix.py")]),
    "bytewax": Peer([str(BENCH_PYTHON), "-m", "bytewax.run", str(PEERS / "bytewax_flow.py")]),
    "worker_without_engine": Peer(_ours("empty_worker.py"), engine=False),
    "stock_faust_without_engine": Peer(_ours("stock_faust.py", *FAUST), engine=False, variables=[("EMPTY", "1")]),
}


def compare(
    broker: Broker, folder: Path, *, names: Iterable[str], rounds: int, items: int, engine: int, empty: int
) -> dict[str, Any]:
    """Medians over the rounds; `engine` and `empty` clicks to drain, with lists and without."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name, done in runs.items():
            count = engine if PEER[name].engine else empty
            done.append(_round(broker, folder, name, number, items=items, count=count))
            print(f"  {name} {number}: {done[-1]}", file=sys.stderr, flush=True)  # noqa: T201
    return {
        name: {
            **{key: round(statistics.median(run[key] for run in done), 4) for key in done[0]},
            "runs": [run["cpu_ms_per_click"] for run in done],
        }
        for name, done in runs.items()
    }


def _round(broker: Broker, folder: Path, name: str, number: int, *, items: int, count: int) -> dict[str, float]:
    """Start on empty topics, warm up, publish the clicks at once, and wait until the last list is out."""
    peer, group = PEER[name], f"drain-{name}-{number}"
    settings = settings_on(broker.bootstrap, group, encoder=EncoderSettings(), index="edge", partitions=8)
    create_or_verify(settings)
    if peer.engine:
        publish(settings, items, folder / "scratch")
    variables = environment(settings) | {"STREAM_ENGINE_STREAM__DATA_DIR": str(folder / group), **dict(peer.variables)}
    (folder / group).mkdir()
    log = folder / f"{group}.log"
    process = spawn(peer.command, log=log, environment=variables)
    lists = _Lists(settings)
    try:
        warm = count // 10
        _send(settings, clicks(warm, USERS, items, seed=0))
        _until_out(lists, process, log, warm, merges=peer.merges, within=READY_WITHIN)
        before, began, cpu = lists.count(), time.monotonic(), cpu_seconds(process.pid)
        _send(settings, clicks(count, USERS, items, seed=1 + number))
        ended = _until_out(lists, process, log, before + count, merges=peer.merges, within=DRAINED_WITHIN)
        return {
            "cpu_ms_per_click": round(1000 * (cpu_seconds(process.pid) - cpu) / count, 4),
            "clicks_per_second": round(count / (ended - began)),
            "lists_per_click": round((lists.count() - before) / count, 3),
            "peak_rss_mb": round(peak_mb(process.pid)),
        }
    finally:
        lists.close()
        stop_all([process], grace=5)


class _Lists:
    """How many records the lists' topic has had."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=settings.kafka.broker)
        self._partitions = [
            TopicPartition(settings.topics.recommendations, number) for number in range(settings.kafka.partitions)
        ]

    def count(self) -> int:
        return sum(self._consumer.end_offsets(self._partitions).values())

    def close(self) -> None:
        self._consumer.close()


def _until_out(lists: _Lists, process: Any, log: Path, end: int, *, merges: bool, within: float) -> float:
    """When the last list came: the topic has so many, or where they merge, no more came for a while."""
    first = last = lists.count() if merges else 0
    changed = time.monotonic()

    def settled() -> bool:
        nonlocal last, changed
        if process.poll() is not None:
            raise RuntimeError(f"it left with {process.returncode}:\n{last_lines(log, 30)}")
        if (now := lists.count()) != last:
            last, changed = now, time.monotonic()
        quiet = merges and last > first and time.monotonic() - changed > SETTLED
        return quiet or last >= end

    wait_for(settled, f"lists ({log})", within)
    return changed


def _send(settings: Settings, records: Sequence[tuple[bytes, bytes]]) -> None:
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.broker, linger_ms=20, batch_size=200_000)) as producer:
        for key, value in records:
            producer.send(settings.topics.clicks, value, key=key)
        producer.flush()
