"""Large catalogues, not encoded: synthetic vectors around those of real titles, straight to the item-state topic."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
from clickstream import KINDS
from kafka import KafkaProducer

from stream_engine.encoder.load import open_encoder
from stream_engine.items.record import CatalogueRecord, encode_record
from stream_engine.local.demo_data import complete_journey
from stream_engine.settings import EncoderSettings, Settings
from stream_engine.streaming.topics import item_state_topic
from stream_engine.vectors import Matrix, unit

SLICE = 10_000
SPREAD = 0.6  # of an item around its kind: two items of a kind have a cosine of about .75


@cache
def kinds(model: EncoderSettings, scratch: Path) -> tuple[tuple[str, ...], Matrix, str]:
    """Titles, vectors and the encoder's fingerprint: `KINDS` different products."""
    items = complete_journey(0).items
    titles = tuple(dict.fromkeys(item.title for item in items))[:KINDS]

    async def encoded() -> tuple[Matrix, str]:
        encoder = open_encoder(model, scratch)
        try:
            return await encoder.encode(titles), encoder.fingerprint
        finally:
            await encoder.close()

    vectors, fingerprint = asyncio.run(encoded())
    return titles, vectors, fingerprint


def synthetic(centres: Matrix, count: int, seed: int = 0) -> Iterator[Matrix]:
    """So many vectors, in slices; the n-th is near the (n % kinds)-th centre."""
    rng, dimensions = np.random.default_rng(seed), centres.shape[1]
    for begin in range(0, count, SLICE):
        size = min(SLICE, count - begin)
        noise = rng.standard_normal((size, dimensions), dtype=np.float32) * (SPREAD / np.sqrt(dimensions))
        yield unit(centres[np.arange(begin, begin + size) % len(centres)] + noise)


def publish(settings: Settings, count: int, scratch: Path) -> None:
    """Items `item-0` to `item-{count - 1}` as records of the item-state topic."""
    titles, centres, fingerprint = kinds(settings.encoder, scratch)
    topic, number = item_state_topic(settings.kafka.group), 0
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.broker, linger_ms=50, batch_size=500_000)) as producer:
        for vectors in synthetic(centres, count):
            for vector in vectors:
                kind = number % KINDS
                record = CatalogueRecord(
                    f"item-{number}",
                    f"{titles[kind]} no. {number}",
                    (f"kind-{kind // 5}",),
                    first_seen=1.7e9,
                    vector=vector,
                    fingerprint=fingerprint,
                )
                producer.send(topic, encode_record(record), key=record.item_id.encode())
                number += 1
        producer.flush()
