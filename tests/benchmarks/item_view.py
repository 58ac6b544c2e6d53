"""Bytes per item in the view and µs per change, every item with all the neighbours it may have.

.venv/bin/python tests/benchmarks/item_view.py [--items 100000]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from proc import resident

from stream_engine.items.record import CatalogueRecord
from stream_engine.items.statistics import ItemStatistics, packed
from stream_engine.items.view import ItemView
from stream_engine.settings import StatisticsSettings
from stream_engine.vectors import unit

DIMENSIONS = 384


def full(item_id: str, others: list[str], at: float, settings: StatisticsSettings) -> ItemStatistics:
    """Statistics of an item with these neighbours."""
    weights = packed(1.0 + place for place in range(len(others)))
    return ItemStatistics(
        updated=at,
        landmark=at,
        clicks=100.0,
        first_click=at,
        last_click=at,
        popularity=(1.0,) * len(settings.half_lives),
        pairs=500.0,
        followed=50.0,
        neighbours=tuple(others),
        together=weights,
        lately=weights,
        after=weights,
        followers=dict.fromkeys(others[: settings.followers], 1.0),
        watermarks={},
    )


def measured(items: int) -> dict[str, float]:
    """What the view costs."""
    settings, rng = StatisticsSettings(), np.random.default_rng(0)
    ids = [f"product-{number:07d}" for number in range(items)]
    vectors = unit(rng.normal(size=(1_000, DIMENSIONS)).astype(np.float32))
    before = resident()
    view = ItemView(DIMENSIONS, settings, fingerprint="m")
    started = time.process_time()
    for number, item_id in enumerate(ids):
        view.put(CatalogueRecord(item_id, categories=("shop",), vector=vectors[number % 1_000], fingerprint="m"))
    put = time.process_time() - started
    started = time.process_time()
    for number, item_id in enumerate(ids):
        others = [ids[other] for other in rng.integers(0, items, settings.neighbours).tolist()]
        view.put_statistics(item_id, full(item_id, others, float(number), settings))
    statistics = time.process_time() - started
    return {
        "items": items,
        "bytes_per_item": (resident() - before) / items,
        "bytes_per_row": view.columns.bytes_per_row,
        "us_per_put": put / items * 1e6,
        "us_per_statistics": statistics / items * 1e6,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=100_000)
    print(json.dumps(measured(parser.parse_args().items), indent=2))  # noqa: T201
