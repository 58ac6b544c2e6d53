"""Median microseconds of what is done to a user with a full history; prints JSON.

Run: .venv/bin/python tests/benchmarks/user_state.py [dimensions]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stream_engine import users
from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.vectors import unit

SETTINGS = UserSettings()


class Grown(NamedTuple):
    """A state, the last click in it, and the median microseconds of a click."""

    state: users.UserState
    last: Received
    us: float


def main(dimensions: int = 384) -> None:
    """A user of three kinds of items, whose clicks mostly join an interest, and one of forty, where most make room."""
    few, many = _grown(3, dimensions), _grown(40, dimensions)
    state, received = many.state, many.last
    stored = users.encode_state(state)
    answer = {
        "dimensions": dimensions,
        "bytes": len(stored),
        "history": len(state.items),
        "hashes": len(state.left) // 4,
        "us": {
            "advance_3_kinds": few.us,
            "advance_40_kinds": many.us,
            "redelivered": _us(lambda: users.advance(state, received, None, SETTINGS)),
            "encode": _us(lambda: users.encode_state(state)),
            "decode": _us(lambda: users.decode_state(stored)),
            "interest_vectors": _us(lambda: users.interest_vectors(state)),
            "recent_20": _us(lambda: users.recent(state, 20)),
            "context_10": _us(lambda: users.context(state, received.source, 10)),
            "seen_hashes": _us(lambda: users.seen_hashes(state)),
        },
    }
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")


def _grown(kinds: int, dimensions: int, clicks: int = 2_000) -> Grown:
    """A user after many clicks, each with an event id and a UUID as item id."""
    rng = np.random.default_rng(7)
    centres = unit(rng.normal(size=(kinds, dimensions)))
    noise = 0.3 * unit(rng.normal(size=(clicks, dimensions)))
    vectors = unit(centres[rng.integers(0, kinds, clicks)] + noise)
    state, spent = None, []
    for offset in range(clicks):
        received = _received(str(uuid.UUID(bytes=rng.bytes(16))), offset)
        start = time.perf_counter()
        state = users.advance(state, received, vectors[offset], SETTINGS)
        spent.append(time.perf_counter() - start)
    return Grown(state, received, round(statistics.median(spent[-1000:]) * 1e6, 1))


def _received(item_id: str, offset: int) -> Received:
    interaction = Interaction(user_id="u", item_id=item_id, timestamp=1.7e9 + 600.0 * offset, event_id=f"e-{item_id}")
    return Received(interaction, Source("clicks", 3, 1_000_000 + offset))


def _us(call: Callable[[], object], times: int = 1_000) -> float:
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return round(statistics.median(spent) * 1e6, 1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
