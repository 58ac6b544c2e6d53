"""Whether what is kept stays small: a user with a million clicks, an item clicked a million times, a million users.

And with ids that nobody announces (strangers.py). PYTHONPATH=tests python tests/benchmarks/growth.py [--count 1000000]
[--strangers 150000]: a few minutes each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from itertools import pairwise

import numpy as np
from strangers import strangers

from stream_engine.events import Interaction, Received, Source
from stream_engine.items.statistics import ItemStatistics, encode_statistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import ItemUpdate
from stream_engine.settings import StatisticsSettings, UserSettings
from stream_engine.users import UserState, advance, encode_state

START = 1_600_000_000.0
TIMED = 200  # of the last clicks before a mark


def received(at: int, item: int) -> Received:
    """The so-manieth click, a minute after the one before."""
    click = Interaction(user_id="u", item_id=f"item-{item}", timestamp=START + 60.0 * at)
    return Received(click, Source("clicks", 3, at))


def one_user(marks: list[int]) -> dict[str, dict[str, float]]:
    """State bytes and µs a click of one user, at each mark."""
    rng, settings, state, found = np.random.default_rng(0), UserSettings(), None, {}
    vectors = rng.normal(size=(64, 384)).astype(np.float32)
    for before, mark in pairwise([0, *marks]):
        for at in range(before, mark - TIMED):
            state = advance(state, received(at, at % 5_000), vectors[at % 64], settings)
        began = time.perf_counter()
        for at in range(mark - TIMED, mark):
            state = advance(state, received(at, at % 5_000), vectors[at % 64], settings)
        took = time.perf_counter() - began
        found[str(mark)] = {"bytes": len(encode_state(state or UserState())), "us": round(1e6 * took / TIMED, 1)}
    return found


def one_item(marks: list[int]) -> dict[str, dict[str, float]]:
    """Bytes of the statistics and µs an update of one item, each of whose clickers came from ten other items."""
    settings, stats, found = StatisticsSettings(), None, {}

    def observed(stats: ItemStatistics | None, at: int) -> ItemStatistics:
        earlier = tuple((f"item-{(7 * at + each) % 5_000}", 0.9**each) for each in range(10))
        return observe(stats, ItemUpdate("x", at % 8, at, START + at, 1.0, earlier, (), earlier[0][0]), settings)

    for before, mark in pairwise([0, *marks]):
        for at in range(before, mark - TIMED):
            stats = observed(stats, at)
        began = time.perf_counter()
        for at in range(mark - TIMED, mark):
            stats = observed(stats, at)
        took = time.perf_counter() - began
        if stats is not None:
            found[str(mark)] = {"bytes": len(encode_statistics(stats)), "us": round(1e6 * took / TIMED, 1)}
    return found


def many_users(count: int) -> dict[str, float]:
    """Resident bytes a user with one click, in a table of states in memory."""
    settings, before = UserSettings(), resident()
    vector = np.ones(384, np.float32)
    table: dict[bytes, bytes] = {}
    places: dict[bytes, int] = {}
    for at in range(count):
        key = b"user-%d" % at
        table[key] = encode_state(advance(None, received(at, at % 5_000), vector, settings))
        places[key] = at % 8
    return {"users": count, "state_bytes": len(table[b"user-0"]), "bytes_a_user": round((resident() - before) / count)}


def resident() -> int:
    """The most bytes ever resident."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """All of it, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--strangers", type=int, default=150_000)
    given = parser.parse_args()
    count, ids = given.count, given.strangers
    marks = [mark for mark in (1_000, 10_000, 100_000, 1_000_000) if mark <= count]
    users = many_users(count)
    report: dict[str, object] = {"many_users": users, "one_user": one_user(marks), "one_item": one_item(marks)}
    unannounced = StatisticsSettings().unannounced
    report["strangers"] = asyncio.run(strangers([ids // 6, ids // 3, ids * 2 // 3, ids], unannounced))
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
