"""The handful of figures that say how fast we are; null with a reason where a part was not measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Report = dict[str, Any]
LARGE = "memory"  # what a catalogue that large wants where there is no Qdrant server; Edge scans every vector

NEEDS = {
    "open_loop": "the part `open_loop` was left out, or the rate is more than is sustained: see report.open_loop",
    "peers": "the part `peers` was left out",
    "search": "the part `search` was left out",
    "encode": "`make export-env` first: the others need torch",
}


def figures(report: Report) -> Report:
    """By name; ratios are theirs to ours, but for the bare loop: more is better for us in all."""
    found = {name: _value(read, report) for name, (_, read) in FIGURES.items()}
    missing = {name: NEEDS[part] for name, (part, _) in FIGURES.items() if found[name] is None}
    return {**found, "not_measured": missing}


def _value(read: Callable[[Report], float], report: Report) -> float | None:
    try:
        return round(read(report), 4)
    except (KeyError, TypeError):
        return None


def _one(report: Report) -> Report:
    one: Report = report["open_loop"]["1 worker"]
    return one


def _late(report: Report, quantile: str) -> float:
    step = _one(report)["at"]
    if step["given_up"]:
        raise KeyError("a queue that grows has no latency")
    late: float = step["ms"][quantile]
    return late


def _cpu(report: Report, name: str) -> float:
    cpu: float = report["peers"][name]["cpu_ms_per_click"]
    return cpu


def _encoding(report: Report, other: str) -> float:
    ratio: float = report["encode"]["in one call"][other]["ours_by_clock"]
    return ratio


FIGURES: dict[str, tuple[str, Callable[[Report], float]]] = {
    "clicks_per_second": ("open_loop", lambda report: _one(report)["best"]["rate"]),
    "p90_ms_at_1000": ("open_loop", lambda report: _late(report, "p90")),
    "p99_ms_at_1000": ("open_loop", lambda report: _late(report, "p99")),
    "cpu_ms_per_click": ("open_loop", lambda report: _one(report)["best"]["cpu_ms_per_click"]["workers"]),
    "peak_rss_mb": ("open_loop", lambda report: max(_one(report)["steps"][-1]["peak_rss_mb"])),
    "ratio_to_bare_loop": ("peers", lambda report: _cpu(report, "bare_loop") / _cpu(report, "worker")),
    "ratio_to_stock_faust": (
        "peers",
        lambda report: _cpu(report, "stock_faust_without_engine") / _cpu(report, "worker_without_engine"),
    ),
    "ratio_to_stock_faust_with_engine": (
        "peers",
        lambda report: _cpu(report, "stock_faust") / _cpu(report, "worker"),
    ),
    "ratio_to_quix": ("peers", lambda report: _cpu(report, "quix") / _cpu(report, "worker")),
    "ratio_to_bytewax": ("peers", lambda report: _cpu(report, "bytewax") / _cpu(report, "worker")),
    "encode_ratio_fastembed": ("encode", lambda report: _encoding(report, "fastembed")),
    "encode_ratio_sentence_transformers": ("encode", lambda report: _encoding(report, "sentence-transformers")),
    "search_cost_ratio_1m": (
        "search",
        lambda report: (
            report["search"]["1000000"][LARGE]["us_per_query"]["1"]
            / report["search"]["10000"][LARGE]["us_per_query"]["1"]
        ),
    ),
}
