"""The demo's live page, and its plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream_engine.events import Reason, Recommendation
from stream_engine.local.demo_score import Score

SHOWN = 8
WORDS = {
    "clicked_together": "goes with {}",
    "similar_to": "like {}",
    "follows": "often after {}",
    "trending": "trending",
    "new": "new",
    "again": "had before",
}


def line(score: Score, now: float, elapsed: float) -> str:
    """The state in one line."""
    events, lists = score.rates(now)
    latency = score.latency_ms()
    ours, trending = score.hit_rates()
    return (
        f"{elapsed:4.0f} s  {events:5.0f} events/s  {lists:5.0f} lists/s  latency p50 {latency['p50']:.0f} "
        f"p99 {latency['p99']:.0f} ms  hit rate@10 {ours:.3f} (trending {trending:.3f})"
    )


def page(score: Score, titles: Mapping[str, str], *, now: float, elapsed: float, seconds: float) -> RenderableType:
    """Rates, latency and hit rates, and the latest list with its reasons."""
    events, lists = score.rates(now)
    latency = score.latency_ms()
    ours, trending = score.hit_rates()
    figures = Table.grid(padding=(0, 3))
    for cells in (
        ("events/s", f"{events:.0f}", "latency p50", f"{latency['p50']:.0f} ms", "hit rate@10", f"{ours:.3f}"),
        ("lists/s", f"{lists:.0f}", "latency p99", f"{latency['p99']:.0f} ms", "trending@10", f"{trending:.3f}"),
    ):
        figures.add_row(*(Text(cell, style="bold" if place % 2 else "dim") for place, cell in enumerate(cells)))
    bar = ProgressBar(total=seconds, completed=min(elapsed, seconds), width=60)
    parts: list[RenderableType] = [figures, bar, Text()]
    if (featured := score.featured()) is not None:
        parts.append(list_table(featured, titles))
    clicks = f"{score.clicks.total()} clicks of {len(score.clicks)} users"
    return Panel(Group(*parts), title="stream-engine", subtitle=clicks, width=100)


def list_table(recommendation: Recommendation, titles: Mapping[str, str]) -> Table:
    """One user's list with titles and reasons."""
    title = f"{recommendation.user_id} after {recommendation.interactions} interactions"
    table = Table(title=title, title_justify="left", box=None, expand=True)
    for heading, share in (("", 1), ("item", 10), ("because", 15)):
        table.add_column(heading, ratio=share, no_wrap=True, overflow="ellipsis")
    for item in recommendation.items[:SHOWN]:
        because = "; ".join(in_words(reason, titles) for reason in item.reasons) or item.source
        table.add_row(str(item.rank), Text(titles.get(item.item_id, item.item_id)), Text(because, style="dim"))
    return table


def in_words(reason: Reason, titles: Mapping[str, str]) -> str:
    """A reason for people."""
    words = WORDS.get(reason.kind, reason.kind)
    return words.format(titles.get(reason.item_id or "", reason.item_id))
