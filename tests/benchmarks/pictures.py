"""Pictures of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from openloop import IN_TIME, Step

mpl.use("svg")
from matplotlib import pyplot as plt


def latency_by_rate(steps: Sequence[Step], file: Path) -> None:
    """p50, p90 and p99 of the steps that were not given up."""
    done = sorted((step for step in steps if not step["given_up"]), key=lambda step: step["rate"])
    figure, axes = plt.subplots(figsize=(7, 4))
    for name in ("p50", "p90", "p99"):
        axes.plot([step["rate"] for step in done], [step["ms"][name] for step in done], marker="o", label=name)
    axes.axhline(IN_TIME, color="grey", linestyle=":")
    axes.set(xlabel="clicks a second", ylabel="ms from click to list", yscale="log")
    axes.legend()
    _save(figure, file)


def latency_by_percentile(step: Step, file: Path) -> None:
    """How late which share of the clicks was answered; the axis is that of HDR histograms."""
    shares = {float(name[1:]): ms for name, ms in step["ms"].items() if name != "p100"}
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot([1 / (1 - share / 100) for share in shares], list(shares.values()), marker="o")
    axes.set(xscale="log", ylabel="ms from click to list", title=f"{step['rate']:g} clicks a second")
    ticks = [0, 50, 90, 99, 99.9, 99.99]
    axes.set_xticks([1 / (1 - share / 100) for share in ticks], [f"{share:g} %" for share in ticks], minor=False)
    _save(figure, file)


def _save(figure: plt.Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file)
    plt.close(figure)
