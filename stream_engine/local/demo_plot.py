"""The demo's picture: latency and hit rate over time."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from stream_engine.local.demo_score import Score, percentile, running_mean


def save(score: Score, start: float, path: Path) -> bool:
    """Write a PNG; False where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra, and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return False
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    latency, quality = figure.subplots(1, 2)
    seconds = by_second(score, start)
    for share in (50, 99):
        latency.plot(list(seconds), [percentile(values, share) for values in seconds.values()], label=f"p{share}")
    latency.set(xlabel="seconds", ylabel="click to recommendation, ms", ylim=(0, None), title="Latency")
    times = [test.at - start for test in score.tests]
    quality.plot(times, running_mean(test.hit for test in score.tests), label="recommended just before")
    quality.plot(times, running_mean(test.trending_hit for test in score.tests), label="trending")
    quality.set(xlabel="seconds", ylabel="hit rate@10 so far", ylim=(0, None), title="Quality")
    for axes in (latency, quality):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    return True


def by_second(score: Score, start: float) -> dict[int, list[float]]:
    """The latencies of each second, in milliseconds, sorted."""
    found: defaultdict[int, list[float]] = defaultdict(list)
    for at, seconds in score.latencies:
        found[int(at - start)].append(seconds * 1000)
    return {second: sorted(found[second]) for second in sorted(found)}
