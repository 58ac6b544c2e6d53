"""Microseconds of advance, encode and decode for a user with a full history; prints JSON.

Run: .venv/bin/python tests/benchmarks/user_state.py [dimensions]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable

import numpy as np

from stream_engine import users
from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.vectors import unit

SETTINGS = UserSettings()


def main(dimensions: int = 384, clicks: int = 3_000) -> None:
    """Clicks among 40 clusters, each with an event id and a UUID as item id."""
    rng = np.random.default_rng(7)
    centres = unit(rng.normal(size=(40, dimensions)))
    vectors = unit(centres[rng.integers(0, 40, clicks)] + 0.03 * rng.normal(size=(clicks, dimensions)))
    ids = [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(clicks)]
    state, advancing = None, []
    for offset in range(clicks):
        received = _received(ids[offset], offset)
        start = time.perf_counter()
        state = users.advance(state, received, vectors[offset], SETTINGS)
        advancing.append(time.perf_counter() - start)
    stored = users.encode_state(state)
    answer = {
        "dimensions": dimensions,
        "bytes": len(stored),
        "history": len(state.items),
        "hashes": len(state.left) // 4,
        "us": {
            "advance": round(statistics.median(advancing[-1000:]) * 1e6, 1),
            "advance_p99": round(sorted(advancing[-1000:])[990] * 1e6, 1),
            "redelivered": _us(lambda: users.advance(state, received, vectors[-1], SETTINGS)),
            "encode": _us(lambda: users.encode_state(state)),
            "decode": _us(lambda: users.decode_state(stored)),
            "interest_vectors": _us(lambda: users.interest_vectors(state)),
            "recent_20": _us(lambda: users.recent(state, 20)),
            "context_10": _us(lambda: users.context(state, received.source, 10)),
            "seen_hashes": _us(lambda: users.seen_hashes(state)),
        },
    }
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")


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
