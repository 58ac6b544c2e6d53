"""CPU of the whole engine for one click and its list, against the size of the catalogue; memory index, random vectors.

.venv/bin/python tests/benchmarks/engine.py [--items 10000 100000] [--clicks 1500]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.engine import Engine
from stream_engine.events import Interaction, Received, Source
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.view import ItemView
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import Settings
from stream_engine.users import UserState
from stream_engine.vectors import unit


async def measured(items: int, clicks: int, chunk: int) -> float:
    """Median µs of CPU per click, each with a list, in chunks of so many."""
    settings, encoder, chance = Settings(), HashedEncoder(), random.Random(0)
    view = ItemView(encoder.dimensions, settings.statistics, fingerprint=encoder.fingerprint)
    index = MemoryIndex(encoder.dimensions)
    vectors = unit(np.random.default_rng(0).normal(size=(items, encoder.dimensions)).astype(np.float32))
    for number, vector in enumerate(vectors):
        view.put(CatalogueRecord(f"i{number}", first_seen=1.0, vector=vector, fingerprint=encoder.fingerprint))
    await index.upsert([Point(f"i{number}", vector) for number, vector in enumerate(vectors)])
    engine = Engine(
        view=view, index=index, encoder=encoder, ranker=Ranker(), users=settings.users, ranking=settings.ranking
    )
    states: dict[str, UserState] = {}
    known: dict[str, ItemStatistics] = {}
    costs = []
    for begin in range(0, clicks, chunk):
        received = [
            Received(
                Interaction(
                    user_id=f"u{offset % 300}", item_id=f"i{int(items * chance.random() ** 3)}", timestamp=1e9 + offset
                ),
                Source("clicks", 0, offset),
            )
            for offset in range(begin, begin + chunk)
        ]
        began = time.process_time()
        outcome = await engine.on_chunk(received, states, 1e9 + begin)
        costs.append((time.process_time() - began) / chunk * 1e6)
        states |= {user.user_id: user.state for user in outcome.users}
        for update in outcome.updates:
            known[update.item_id] = observe(known.get(update.item_id), update, settings.statistics)
            view.put_statistics(update.item_id, known[update.item_id])
    return statistics.median(costs[len(costs) // 3 :])


def main() -> None:
    """Every size, one click at a time and in chunks."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    options.add_argument("--clicks", type=int, default=1_536)
    given = options.parse_args()
    with threadpool_limits(1, user_api="blas"):
        figures = {
            f"{items} items, chunks of {chunk}": round(asyncio.run(measured(items, given.clicks, chunk)))
            for items in given.items
            for chunk in (1, 32)
        }
    print(json.dumps({"us_per_click_and_list": figures}))  # noqa: T201


if __name__ == "__main__":
    main()
