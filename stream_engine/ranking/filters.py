"""What may not be shown, and why: every filter keeps some rows and says how many it removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.taste import Taste

Flags = NDArray[np.bool_]
Removed = Mapping[str, int]
Filter = Callable[[ItemView, Taste, Rows], Flags]


def known(view: ItemView, _: Taste, rows: Rows) -> Flags:
    """In the catalogue."""
    return (rows >= 0) & view.columns.known[rows]


def available(view: ItemView, _: Taste, rows: Rows) -> Flags:
    """Announced as available."""
    return view.columns.available[rows]


def current(view: ItemView, taste: Taste, rows: Rows) -> Flags:
    """Published and not expired at the moment of the question."""
    columns, now = view.columns, taste.question.now
    flags: Flags = (columns.expires_at[rows] > now) & (columns.published_at[rows] <= now)
    return flags


def asked_for(view: ItemView, taste: Taste, rows: Rows) -> Flags:
    """Of one of the caller's categories, if any were named, and not excluded by the caller."""
    question = taste.question
    fits = np.ones(len(rows), np.bool_)
    if question.categories:
        wanted = set(question.categories)
        fits &= [not wanted.isdisjoint(view.categories[row]) for row in rows]
    if question.exclude:
        fits &= [view.ids[row] not in question.exclude for row in rows]
    return fits


def unseen(view: ItemView, taste: Taste, rows: Rows) -> Flags:
    """Not yet had by this user."""
    seen = np.zeros(len(view.columns.known), np.bool_)
    seen[taste.had] = True
    fresh: Flags = ~seen[rows]
    if len(taste.question.left):
        fresh &= ~np.isin(view.columns.hashes[rows], taste.question.left)
    return fresh


RULES: Mapping[str, Filter] = {"known": known, "available": available, "current": current, "asked_for": asked_for}


def allowed(view: ItemView, taste: Taste, rows: Rows, *, seen_too: bool = False) -> tuple[Flags, Removed]:
    """Which rows every filter keeps; a row counts for the first filter that removed it."""
    filters = RULES if seen_too else {**RULES, "unseen": unseen}
    keep = np.ones(len(rows), np.bool_)
    removed: dict[str, int] = {}
    for name, each in filters.items():
        before = int(np.count_nonzero(keep))
        keep &= each(view, taste, rows)
        removed[name] = before - int(np.count_nonzero(keep))
    return keep, removed
