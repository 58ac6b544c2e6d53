"""CPU microseconds a query of each embedded index, at several sizes and batches, and how much it finds; prints JSON.

Run: OPENBLAS_NUM_THREADS=1 .venv/bin/python tests/benchmarks/search.py [--large] [items ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from catalogue import Texts, synthetic, texts
from clickstream import KINDS
from proc import resident

from stream_engine.index.edge import EdgeIndex
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point, Query, Store
from stream_engine.settings import EncoderSettings
from stream_engine.vectors import Matrix, unit

LIMIT = 60  # what the ranking asks for
BATCHES = (1, 3, 32)
REPEATS = 7
RECALLED = 100  # queries whose answers are compared with the exact ones
LARGE = 500_000  # items from which only `memory` is measured, if not told otherwise: the others take minutes


def main() -> None:
    """Vectors around those of real titles; queries between several items, as users' profiles are."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("items", type=int, nargs="*", default=[3_000, 10_000, 100_000])
    options.add_argument("--large", action="store_true", help="all indexes at all sizes")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        real = texts(EncoderSettings(), Path(directory))
        report: dict[str, Any] = {"limit": LIMIT, "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "all")}
        for items in given.items:
            wanted = None if given.large or items < LARGE else ["memory"]
            report[str(items)] = asyncio.run(_compare(items, real, Path(directory) / str(items), wanted))
    print(json.dumps(report, indent=1))  # noqa: T201


async def _compare(items: int, real: Texts, directory: Path, wanted: list[str] | None) -> dict[str, Any]:
    vectors = np.concatenate(list(synthetic(real, items)))
    queries = _profiles(vectors)
    dimensions = vectors.shape[1]
    indexes: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryIndex(dimensions, exact=False),
        "exact": lambda: MemoryIndex(dimensions),
        "edge": lambda: EdgeIndex(directory / "edge", dimensions),
        "edge_quantized": lambda: EdgeIndex(directory / "quantized", dimensions, quantized=True),
    }
    return {
        name: await _measure(make(), vectors, queries) for name, make in indexes.items() if name in (wanted or indexes)
    }


def _profiles(vectors: Matrix) -> Matrix:
    """Between two items of a kind and one of any."""
    rng = np.random.default_rng(1)
    first, other = rng.integers(0, len(vectors), (2, RECALLED))
    second = (first + KINDS * rng.integers(0, len(vectors), RECALLED)) % (len(vectors) - len(vectors) % KINDS)
    mixed: Matrix = unit(vectors[first] + 0.7 * vectors[second] + 0.4 * vectors[other])
    return mixed


async def _measure(index: Store, vectors: Matrix, queries: Matrix) -> dict[str, Any]:
    await index.ensure()
    started, before = time.process_time(), resident()
    for start in range(0, len(vectors), 256):
        batch = vectors[start : start + 256]
        await index.upsert(
            [Point(f"item-{start + row}", vector, categories=(f"c{row % 20}",)) for row, vector in enumerate(batch)]
        )
    await index.optimize()
    report = {
        "us_per_upsert": _us((time.process_time() - started) / len(vectors)),
        "mb": round((resident() - before) / 2**20),
        "recall": await _recall(index, vectors, queries, quick=False),
        "recall_quickly": await _recall(index, vectors, queries, quick=True),
        "us_per_query": {},
        "us_per_query_quickly": {},  # as clicks ask
        "us_per_query_of_a_category": {},
    }
    for batch in BATCHES:
        asked = [Query(vector, LIMIT) for vector in queries[:batch]]
        report["us_per_query"][batch] = _us(await _cpu(index, asked) / batch)
        report["us_per_query_quickly"][batch] = _us(
            await _cpu(index, [query._replace(quick=True) for query in asked]) / batch
        )
        asked = [Query(vector, LIMIT, categories=("c1", "c2")) for vector in queries[:batch]]
        report["us_per_query_of_a_category"][batch] = _us(await _cpu(index, asked) / batch)
    await index.close()
    return report


async def _recall(index: Store, vectors: Matrix, queries: Matrix, *, quick: bool) -> float:
    """The share of the truly nearest that is found."""
    found = await index.search([Query(vector, LIMIT, quick=quick) for vector in queries])
    exact = np.argpartition(-(queries @ vectors.T), LIMIT, axis=1)[:, :LIMIT]
    hits = [
        len({match.item_id for match in ours} & {f"item-{row}" for row in rows.tolist()})
        for ours, rows in zip(found, exact, strict=True)
    ]
    return round(sum(hits) / LIMIT / len(queries), 4)


async def _cpu(index: Store, queries: list[Query]) -> float:
    """Median CPU seconds of some; in between others are asked, so that caches do not know what comes."""
    spent = []
    for turn in range(REPEATS):
        others = [query._replace(vector=np.roll(query.vector, turn + 1)) for query in queries]
        await index.search(others)
        started = time.process_time()
        await index.search(queries)
        spent.append(time.process_time() - started)
    return statistics.median(spent)


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


if __name__ == "__main__":
    main()
