"""What may not be shown, and why: every filter keeps some rows and says how many it removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.habits import SOON, Habits
from stream_engine.ranking.taste import Taste

Flags = NDArray[np.bool_]
Removed = Mapping[str, int]
Filter = Callable[[ItemView, Taste, Rows], Flags | None]  # None: nothing to remove


def available(view: ItemView, _: Taste, rows: Rows) -> Flags:
    """In the catalogue, and announced as available."""
    return view.columns.shown[rows]


def current(view: ItemView, taste: Taste, rows: Rows) -> Flags | None:
    """Published and not expired at the moment of the question."""
    if not view.timed:
        return None
    columns, now = view.columns, taste.question.now
    flags: Flags = (columns.expires_at[rows] > now) & (columns.published_at[rows] <= now)
    return flags


def asked_for(view: ItemView, taste: Taste, rows: Rows) -> Flags | None:
    """Of one of the caller's categories, if any were named, and not excluded by the caller."""
    question = taste.question
    if not question.categories and not question.exclude:
        return None
    wanted = set(question.categories)
    return np.array(
        [
            (not wanted or not wanted.isdisjoint(view.categories[row])) and view.ids[row] not in question.exclude
            for row in rows.tolist()
        ],
        np.bool_,
    )


RULES: Mapping[str, Filter] = {"available": available, "current": current, "asked_for": asked_for}


def unseen(view: ItemView, taste: Taste, rows: Rows, habits: Habits) -> Flags | None:
    """Not had by this user, as far as people do not come back to what they had."""
    shy = taste.ages < SOON
    shy = np.where(shy, not habits.again_soon, not habits.again_later)
    hidden = np.concatenate([taste.had[shy], taste.left[: 0 if habits.again_later else None]])
    if not len(hidden):
        return None
    seen = np.zeros(len(view.columns.shown), np.bool_)
    seen[hidden] = True
    fresh: Flags = ~seen[rows]
    return fresh


def allowed(view: ItemView, taste: Taste, rows: Rows, habits: Habits | None) -> tuple[Flags, Removed]:
    """Which rows every filter keeps, seen ones too without habits; a row counts for the first that removed it.

    Rows of -1 stand for nothing: neither kept nor removed.
    """
    keep = rows >= 0
    left = int(np.count_nonzero(keep))
    removed: dict[str, int] = {}
    flags = {name: rule(view, taste, rows) for name, rule in RULES.items()}
    if habits is not None:
        flags["unseen"] = unseen(view, taste, rows, habits)
    for name, each in flags.items():
        if each is not None:
            keep &= each
        still = int(np.count_nonzero(keep))
        removed[name], left = left - still, still
    return keep, removed
