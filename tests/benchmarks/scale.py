"""What a click costs as things grow: the catalogue, a user's history, partitions; and how long a start takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from openloop import Stand, standing

from stream_engine.local.broker import Broker

RATE, SECONDS = 100.0, 6.0
BUSY = 1_000.0  # clicks a second: what partitions cost is said by latency
HISTORIES = (1, 10, 50)


def growth(broker: Broker, folder: Path, *, full: bool) -> dict[str, Any]:
    """Figures of each."""
    sizes = (10_000, 100_000, 1_000_000) if full else (10_000, 100_000)
    return {
        "partitions": {
            count: _grown(broker, folder, items=10_000, partitions=count, busy=True) for count in (2, 8, 32)
        },
        "items": {count: _grown(broker, folder, items=count) for count in sizes},
        "history": _histories(broker, folder),
    }


def _grown(broker: Broker, folder: Path, *, busy: bool = False, **options: Any) -> dict[str, float]:
    began = time.monotonic()
    with standing(broker, folder, **options) as stand:
        ready = time.monotonic() - began
        stand.step(RATE, SECONDS)
        found = {"seconds_until_ready": round(ready, 1), **_cost(stand)}
        if busy:
            stand.step(BUSY, 2 * SECONDS)  # it is new to the broker too
            late = stand.step(BUSY, 2 * SECONDS)["ms"]
            found |= {f"{quantile}_ms_at_{BUSY:g}": late[quantile] for quantile in ("p50", "p90", "p99")}
        return found


def _cost(stand: Stand) -> dict[str, float]:
    step = stand.step(RATE, SECONDS)
    return {
        "cpu_ms_per_click": step["cpu_ms_per_click"]["workers"],
        "p50_ms": step["ms"]["p50"],
        "peak_rss_mb": max(step["peak_rss_mb"]),
    }


def _histories(broker: Broker, folder: Path) -> dict[int, dict[str, float]]:
    """The same few users click on; after so many clicks each, what the next ones cost."""
    found, clicked = {}, 0.0
    with standing(broker, folder, items=10_000) as stand:
        stand.users = 100
        for length in HISTORIES:
            while clicked < length - 1:
                seconds = min(20.0, (length - 1 - clicked) * stand.users / RATE)
                stand.step(RATE, max(1.0, seconds))
                clicked += max(1.0, seconds) * RATE / stand.users
            found[length] = _cost(stand)
            clicked += SECONDS * RATE / stand.users
    return found
