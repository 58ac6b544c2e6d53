"""Does it learn as well through Kafka and two workers as in one process? The same log, the same measure.

    .venv/bin/python tests/benchmarks/through_kafka.py ITEMS EVENTS [--clicks N] [--rate N]

The measure is the engine's own prequential hit rate@10 (every sampled click tested before it is learnt from, the last
2,000 or so weighing most). The hashed encoder stands in on both sides: it is the sharing that is compared, not texts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(Path(__file__).parents[1]))
from harness.live import Live, engine, settings_on
from harness.workers import wait_for

from stream_engine.codec import encode_interaction
from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.engine import Engine
from stream_engine.events import Interaction, Item, Received, Source
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point
from stream_engine.items.record import record_of
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.view import ItemView
from stream_engine.local.broker import start_broker
from stream_engine.local.demo_data import from_files
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import Settings
from stream_engine.users import UserState

ROOT = Path(__file__).parents[2]


async def in_process(items: Sequence[Item], events: Sequence[Interaction]) -> float:
    """The hit rate with everything learnt known at once."""
    settings, encoder = Settings(), HashedEncoder()
    view = ItemView(encoder.dimensions, settings.statistics, fingerprint=encoder.fingerprint)
    index = MemoryIndex(encoder.dimensions)
    vectors = await encoder.encode([item.text for item in items])
    for item, vector in zip(items, vectors, strict=True):
        view.put(record_of(item, first_seen=events[0].timestamp, vector=vector, fingerprint=encoder.fingerprint))
    await index.upsert([Point(item.item_id, vector) for item, vector in zip(items, vectors, strict=True)])
    one = Engine(
        view=view, index=index, encoder=encoder, ranker=Ranker(), users=settings.users, ranking=settings.ranking
    )
    states: dict[str, UserState] = {}
    statistics: dict[str, ItemStatistics] = {}
    for offset, event in enumerate(events):
        outcome = await one.on_chunk([Received(event, Source("clicks", 0, offset))], states, event.timestamp)
        states |= {user.user_id: user.state for user in outcome.users}
        for update in outcome.updates:
            known = statistics[update.item_id] = observe(statistics.get(update.item_id), update, settings.statistics)
            view.put_statistics(update.item_id, known)
    return one.quality.hit_rate


def through_kafka(items: Sequence[Item], events: Sequence[Interaction], rate: float) -> float:
    """The mean hit rate two workers report of themselves."""
    with tempfile.TemporaryDirectory() as folder:
        broker = start_broker(Path(folder), cache_dir=ROOT / ".cache", lasting=True)
        try:
            with engine(Path(folder), settings_on(broker.bootstrap, "through"), 2) as live:
                live.items({item.item_id: item.text for item in items})
                live.until_known(item.item_id for item in items)
                _replay(live, events, rate)
                users = {event.user_id: 0 for event in events}
                for event in events:
                    users[event.user_id] += 1
                wait_for(lambda: all(live.answers.interactions(u) >= n for u, n in users.items()), "all clicks", 300)
                time.sleep(1.5)  # the gauges are set once a second
                rates = [_hit_rate(Path(folder) / f"worker-{number}") for number in range(2)]
        finally:
            broker.stop()
    return sum(rates) / len(rates)


def _replay(live: Live, events: Sequence[Interaction], rate: float) -> None:
    producer = KafkaProducer(bootstrap_servers=live.settings.kafka.broker, linger_ms=2)
    began = time.monotonic()
    for number, event in enumerate(events):
        while (ahead := began + number / rate - time.monotonic()) > 0:
            time.sleep(min(ahead, 0.05))
        producer.send(live.topics.clicks, encode_interaction(event), key=event.user_id.encode())
    producer.flush()
    producer.close()


def _hit_rate(worker: Path) -> float:
    port = int((worker / "health.port").read_text())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                if sample.labels.get("metric") == "hit_rate_at_10":
                    return sample.value
    raise LookupError("no hit rate among the metrics")


def main() -> None:
    """Both, and their ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("items", type=Path)
    options.add_argument("events", type=Path)
    options.add_argument("--clicks", type=int, default=20_000)
    options.add_argument("--rate", type=float, default=200.0)
    given = options.parse_args()
    replay = from_files(given.items, given.events, given.clicks)
    alone = asyncio.run(in_process(replay.items, replay.events))
    shared = through_kafka(replay.items, replay.events, given.rate)
    print(json.dumps({"in_process": alone, "through_kafka": shared, "ratio": shared / alone}))  # noqa: T201


if __name__ == "__main__":
    main()
