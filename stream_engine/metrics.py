"""What a worker counts: every name in one place, as a type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class Metrics:
    """One worker's counters, on a registry of their own."""

    registry: CollectorRegistry
    records: Counter = field(init=False)
    published: Counter = field(init=False)
    dead_letters: Counter = field(init=False)
    failures: Counter = field(init=False)
    holds: Counter = field(init=False)
    rewinds: Counter = field(init=False)
    moved: Counter = field(init=False)
    mended: Counter = field(init=False)
    recovered: Counter = field(init=False)
    expired: Gauge = field(init=False)
    forgotten: Gauge = field(init=False)
    chunk_records: Histogram = field(init=False)
    chunk_seconds: Histogram = field(init=False)
    latency: Histogram = field(init=False)
    items: Gauge = field(init=False)
    ready: Gauge = field(init=False)
    quality: Gauge = field(init=False)

    def __post_init__(self) -> None:
        at: dict[str, Any] = {"namespace": "stream_engine", "registry": self.registry}
        made = {
            "records": Counter("records", "Records processed, by topic", ["topic"], **at),
            "published": Counter("published", "Records published, by topic; lists among them", ["topic"], **at),
            "dead_letters": Counter("dead_letters", "Records refused, by stage", ["stage"], **at),
            "failures": Counter("failures", "Bugs of ours met, by error class", ["error"], **at),
            "holds": Counter("holds", "Times a chunk waited for a dependency", ["dependency"], **at),
            "rewinds": Counter("rewinds", "Times records lost on their way were sought again", **at),
            "moved": Counter("moved", "Records sent on: their user belongs on another partition", ["topic"], **at),
            "mended": Counter("mended", "Records written again over late writes, by topic", ["topic"], **at),
            "recovered": Counter("recovered", "Records of changelogs read, to own or to follow", ["topic", "to"], **at),
            "expired": Gauge("expired", "Users forgotten since the start for having been away too long", **at),
            "forgotten": Gauge("forgotten", "Items in no catalogue forgotten since the start: the weakest", **at),
            "chunk_records": Histogram("chunk_records", "Records in a chunk", ["topic"], buckets=SIZES, **at),
            "chunk_seconds": Histogram("chunk_seconds", "Time a chunk took", ["topic"], buckets=LATENCY, **at),
            "latency": Histogram("latency_seconds", "Record time to effects sent", ["topic"], buckets=LATENCY, **at),
            "items": Gauge("items", "Items in the view", **at),
            "ready": Gauge("ready", "1 when ready", **at),
            "quality": Gauge("quality", "Prequential quality of sampled clicks", ["metric"], **at),
        }
        for name, metric in made.items():
            object.__setattr__(self, name, metric)
