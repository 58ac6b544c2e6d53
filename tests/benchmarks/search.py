"""CPU microseconds a query of each embedded index, at several sizes and batches; prints JSON.

Run: OPENBLAS_NUM_THREADS=1 .venv/bin/python tests/benchmarks/search.py [items ...]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stream_engine.index.edge import EdgeIndex
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point, Query, Store
from stream_engine.vectors import Matrix, unit

DIMENSIONS = 384
LIMIT = 50
BATCHES = (1, 3, 32)  # 3: one user's interests
REPEATS = 7


def main(sizes: list[int]) -> None:
    """Texts resemble each other: vectors spread around a mixture of 40 directions."""
    report: dict[str, Any] = {"dimensions": DIMENSIONS, "limit": LIMIT, "blas_threads": blas_threads()}
    for items in sizes:
        with tempfile.TemporaryDirectory() as directory:
            report[str(items)] = asyncio.run(_compare(items, Path(directory)))
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def blas_threads() -> str:
    return os.environ.get("OPENBLAS_NUM_THREADS", "all")


async def _compare(items: int, directory: Path) -> dict[str, Any]:
    vectors, queries = _vectors(items), _vectors(max(BATCHES), seed=1)
    indexes: dict[str, Store] = {
        "memory": MemoryIndex(DIMENSIONS),
        "edge": EdgeIndex(directory / "edge", DIMENSIONS),
        "edge_quantized": EdgeIndex(directory / "quantized", DIMENSIONS, quantized=True),
    }
    report = {name: await _measure(index, vectors, queries) for name, index in indexes.items()}
    for batch in BATCHES:
        ratio = report["edge"]["us_per_query"][batch] / report["memory"]["us_per_query"][batch]
        report[f"edge_to_memory_batch_{batch}"] = round(ratio, 2)
    return report


async def _measure(index: Store, vectors: Matrix, queries: Matrix) -> dict[str, Any]:
    await index.ensure()
    started = time.process_time()
    for start in range(0, len(vectors), 256):
        batch = vectors[start : start + 256]
        await index.upsert(
            [Point(f"item-{start + row}", vector, categories=(f"c{row % 20}",)) for row, vector in enumerate(batch)]
        )
    upsert = (time.process_time() - started) / len(vectors)
    report = {"us_per_upsert": _us(upsert), "us_per_query": {}, "us_per_query_of_a_category": {}}
    for batch in BATCHES:
        asked = [Query(vector, LIMIT) for vector in queries[:batch]]
        report["us_per_query"][batch] = _us(await _cpu(index, asked) / batch)
        asked = [Query(vector, LIMIT, categories=("c1", "c2")) for vector in queries[:batch]]
        report["us_per_query_of_a_category"][batch] = _us(await _cpu(index, asked) / batch)
    await index.close()
    return report


async def _cpu(index: Store, queries: list[Query]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        await index.search(queries)
        best = min(best, time.process_time() - started)
    return best


def _vectors(count: int, seed: int = 0) -> Matrix:
    rng, mixture = np.random.default_rng(seed), np.random.default_rng(99)
    directions = mixture.standard_normal((40, DIMENSIONS), dtype=np.float32)
    noise = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return unit(rng.standard_normal((count, 40), dtype=np.float32) @ directions / 6 + noise / 2)


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [3_000, 10_000, 100_000])
