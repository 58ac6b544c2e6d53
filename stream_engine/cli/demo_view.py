"""What the demo shows while it runs: bars and a live page on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stream_engine.local import demo_page
from stream_engine.local.demo_score import Score

LINE_EVERY = 5.0  # seconds
PAGE_EVERY = 0.25


class Throttle:
    """Says yes at most once every so many seconds."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._due = 0.0

    def __call__(self) -> bool:
        """Whether it is time again."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._every
        return True


@contextmanager
def encoding(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many items are done, and of how many."""
    if not console.is_terminal:
        due = Throttle(LINE_EVERY)

        def tell(done: int, total: int) -> None:
            if due() or done == total:
                console.print(f"catalogue: {done} of {total} items encoded")

        yield tell
        return
    columns = (TextColumn("encoding the catalogue"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def live(
    console: Console, titles: Mapping[str, str], seconds: float
) -> Iterator[Callable[[Score, float, float], None]]:
    """A function to call with the score, the time, and the seconds since the replay began."""
    if not console.is_terminal:
        due = Throttle(LINE_EVERY)

        def tell(score: Score, now: float, elapsed: float) -> None:
            if due():
                console.print(demo_page.line(score, now, elapsed), soft_wrap=True)

        yield tell
        return
    due = Throttle(PAGE_EVERY)
    with Live(console=console, auto_refresh=False, transient=True) as page:

        def show(score: Score, now: float, elapsed: float) -> None:
            if due():
                shown = demo_page.page(score, titles, now=now, elapsed=elapsed, seconds=seconds)
                page.update(shown, refresh=True)

        yield show


def conclusion(console: Console, score: Score, titles: Mapping[str, str], result: Mapping[str, object]) -> None:
    """One user's list, the figures, and whether every list reflects all clicks."""
    if (featured := score.featured()) is not None:
        console.print(demo_page.list_table(featured, titles), width=100)
    for name, value in result.items():
        console.print(f"  {name:24} {value}", soft_wrap=True)
    wrong, users = score.unreflected(), len(score.clicks)
    console.print(f"{users - len(wrong)} of {users} users who clicked have a list that reflects all their clicks")
    for user in wrong[:5]:
        counted = score.lists[user].interactions if user in score.lists else "no list"
        console.print(f"  {user}: {score.clicks[user]} clicks sent, counted: {counted}", markup=False)
