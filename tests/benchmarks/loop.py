"""One worker beside a stock Faust agent on the same broker: clicks drained per second, and CPU a click.

Run: `.venv/bin/python tests/benchmarks/loop.py [--clicks N] [--items N] [--json F]`. The stock agent only decodes the
click, writes a table and forwards it, as Faust's documentation shows; the worker does all we do.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from stream_engine.local.broker import start_broker
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.admin import create_or_verify

ROOT = Path(__file__).parents[2]
WORDS = ("red", "blue", "green", "gold", "shoe", "hat", "coat", "lamp", "chair", "mug", "plate", "bag", "ring", "clock")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure both, print and save the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clicks", type=int, default=20_000)
    options.add_argument("--items", type=int, default=3_000)
    options.add_argument("--users", type=int, default=2_000)
    options.add_argument("--model", default="all-MiniLM-L6-v2")
    options.add_argument("--index", default="edge")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = start_broker(Path(folder), cache_dir=ROOT / ".cache")
        try:
            settings = Settings(kafka=KafkaSettings(broker=broker.bootstrap))
            create_or_verify(settings)
            _announce(broker.bootstrap, given.items)
            figures: dict[str, Any] = {"worker": _worker(broker.bootstrap, Path(folder), given)}
            figures["stock_faust"] = _stock(broker.bootstrap, Path(folder), given)
        finally:
            broker.stop()
    figures["ratio_cpu"] = figures["worker"]["cpu_ms_per_click"] / figures["stock_faust"]["cpu_ms_per_click"]
    figures["ratio_rate"] = figures["worker"]["clicks_per_second"] / figures["stock_faust"]["clicks_per_second"]
    text = json.dumps(figures, indent=2)
    print(text)  # noqa: T201
    if given.json:
        given.json.write_text(text)


def _announce(bootstrap: str, items: int) -> None:
    chance = random.Random(0)
    with closing(KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20)) as producer:
        for number in range(items):
            title = " ".join(chance.sample(WORDS, 4))
            item = {"item_id": f"item-{number}", "title": title, "categories": [WORDS[number % len(WORDS)]]}
            producer.send("items", json.dumps(item).encode(), key=item["item_id"].encode())
        producer.flush()


def _click(bootstrap: str, given: argparse.Namespace, *, seed: int) -> None:
    chance = random.Random(seed)
    with closing(KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20)) as producer:
        for number in range(given.clicks):
            user = f"user-{int(given.users * chance.random() ** 2)}"
            click = {
                "user_id": user,
                "item_id": f"item-{int(given.items * chance.random() ** 2)}",
                "event_id": f"{seed}-{number}",
            }
            producer.send("clicks", json.dumps(click).encode(), key=user.encode())
        producer.flush()


def _worker(bootstrap: str, folder: Path, given: argparse.Namespace) -> dict[str, float]:
    environment = {
        "STREAM_ENGINE_STREAM__DATA_DIR": str(folder / "worker"),
        "STREAM_ENGINE_KAFKA__BROKER": bootstrap,
        "STREAM_ENGINE_ENCODER__MODEL": given.model,
        "STREAM_ENGINE_INDEX__LOCATION": given.index,
    }
    command = [sys.executable, "-m", "stream_engine.cli.main", "worker"]
    return _drain(bootstrap, "stream-engine", command, environment, given, log=folder / "worker.log")


def _stock(bootstrap: str, folder: Path, given: argparse.Namespace) -> dict[str, float]:
    command = [
        sys.executable,
        str(Path(__file__).with_name("stock_faust.py")),
        "worker",
        "-l",
        "warn",
        "--without-web",
    ]
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as client:
        client.create_topics(
            {"stock-forwarded": {"num_partitions": 8, "replication_factor": 1}}, wait_for_metadata=True
        )
    environment = {"BOOTSTRAP": bootstrap, "FAUST_DATADIR": str(folder / "faust")}
    return _drain(bootstrap, "stock", command, environment, given, log=folder / "stock.log")


def _drain(
    bootstrap: str, group: str, command: list[str], environment: dict[str, str], given: argparse.Namespace, *, log: Path
) -> dict[str, float]:
    """Let the process start on an idle topic, publish the clicks at once, and time until all are committed."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
        try:
            topics = ("clicks", "items") if group == "stream-engine" else ("clicks",)
            _click(bootstrap, argparse.Namespace(**{**vars(given), "clicks": 500}), seed=1)
            _until_drained(bootstrap, group, topics, deadline=300)
            before, began = _cpu(process.pid), time.monotonic()
            _click(bootstrap, given, seed=2)
            _until_drained(bootstrap, group, ("clicks",), deadline=600)
            seconds, cpu = time.monotonic() - began, _cpu(process.pid) - before
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
    return {"clicks_per_second": given.clicks / seconds, "cpu_ms_per_click": 1000 * cpu / given.clicks}


def _until_drained(bootstrap: str, group: str, topics: tuple[str, ...], *, deadline: float) -> None:
    until = time.monotonic() + deadline
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(8)]
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)) as consumer:
        while time.monotonic() < until:
            ends = consumer.end_offsets(partitions)
            if sum(ends[partition] - (consumer.committed(partition) or 0) for partition in partitions) == 0:
                return
            time.sleep(0.1)
    raise TimeoutError(f"{group} did not catch up within {deadline:g} s")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
