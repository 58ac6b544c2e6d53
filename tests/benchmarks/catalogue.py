"""Large catalogues, not encoded: synthetic vectors around those of real titles, straight to the item-state topic."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from clickstream import KINDS
from kafka import KafkaProducer

from stream_engine.encoder.load import open_encoder
from stream_engine.items.record import CatalogueRecord, encode_record
from stream_engine.local.demo_data import complete_journey
from stream_engine.settings import EncoderSettings, Settings
from stream_engine.streaming.topics import item_state_topic
from stream_engine.vectors import Matrix, unit

FAMILY = 50  # items of a kind that are more alike
SLICE = KINDS * FAMILY
OF_FAMILY, OF_ITEM = 0.5, 0.4  # how far a family lies from its kind, and an item from its family
TITLES = 600  # real ones, of which vectors are made


class Texts(NamedTuple):
    """What real titles look like: some titles, their vectors, how vectors vary (d, d), and whose vectors they are."""

    titles: tuple[str, ...]
    vectors: Matrix
    variation: Matrix
    fingerprint: str


@cache
def texts(model: EncoderSettings, scratch: Path) -> Texts:
    """Encoded now: some seconds."""
    titles = tuple(dict.fromkeys(item.title for item in complete_journey(0).items))[:TITLES]

    async def encoded() -> tuple[Matrix, str]:
        encoder = open_encoder(model, scratch)
        try:
            return await encoder.encode(titles), encoder.fingerprint
        finally:
            await encoder.close()

    vectors, fingerprint = asyncio.run(encoded())
    apart = vectors - vectors.mean(axis=0)
    energies, directions = np.linalg.eigh(apart.T @ apart)
    variation = directions * np.sqrt(np.maximum(energies, 0) / energies.sum())
    return Texts(titles, vectors, variation.T.astype(np.float32), fingerprint)


def synthetic(real: Texts, count: int, seed: int = 0) -> Iterator[Matrix]:
    """So many vectors, in slices, varying as those of real titles do; the n-th is of kind n % KINDS.

    Another seed: other members of the same families.
    """
    centres = real.vectors[:KINDS]
    for begin in range(0, count, SLICE):
        families = _varied(real, KINDS, [1, begin], OF_FAMILY) + centres
        size = min(SLICE, count - begin)
        noise = _varied(real, size, [2, begin, seed], OF_ITEM)
        yield unit(families[np.arange(begin, begin + size) % KINDS] + noise)


def _varied(real: Texts, count: int, seed: list[int], length: float) -> Matrix:
    drawn: Matrix = np.random.default_rng(seed).standard_normal((count, len(real.variation)), dtype=np.float32)
    return drawn @ real.variation * np.float32(length)


def publish(settings: Settings, count: int, scratch: Path) -> None:
    """Items `item-0` to `item-{count - 1}` as records of the item-state topic."""
    real = texts(settings.encoder, scratch)
    topic, number = item_state_topic(settings.kafka.group), 0
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.broker, linger_ms=50, batch_size=500_000)) as producer:
        for vectors in synthetic(real, count):
            for vector in vectors:
                kind = number % KINDS
                record = CatalogueRecord(
                    f"item-{number}",
                    f"{real.titles[kind]} no. {number}",
                    (f"kind-{kind // 5}",),
                    first_seen=1.7e9,
                    vector=vector,
                    fingerprint=real.fingerprint,
                )
                producer.send(topic, encode_record(record), key=record.item_id.encode())
                number += 1
        producer.flush()
