"""What may not be shown, and why: every filter keeps some rows and says how many it removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.habits import SOON, Habits
from stream_engine.ranking.taste import Moment, Taste

Flags = NDArray[np.bool_]
Removed = Mapping[str, int]

FILTERS = ("available", "current", "asked_for", "unseen")
_AVAILABLE, _CURRENT, _ASKED_FOR, _UNSEEN = range(len(FILTERS))
_BUCKETS = 4_096
NO_FLAGS: Flags = np.zeros(0, np.bool_)


class Sieve(NamedTuple):
    """What compiled loops read to tell what may be shown, and whether what a user had may not."""

    shown: Flags
    timed: bool  # whether any item has a time to appear or to go
    published_at: NDArray[np.float64]
    expires_at: NDArray[np.float64]
    no_soon: bool  # what was had a moment ago, and a while ago
    no_later: bool


def sieve_of(view: ItemView, habits: Habits | None) -> Sieve:
    """The filters; without habits, what users had may be shown."""
    columns = view.columns
    return Sieve(
        columns.shown,
        view.timed,
        columns.published_at,
        columns.expires_at,
        habits is not None and not habits.again_soon,
        habits is not None and not habits.again_later,
    )


def has_rules(taste: Taste) -> bool:
    """Whether the caller named categories or excluded items."""
    return bool(taste.question.categories or taste.question.exclude)


def asked_for(view: ItemView, taste: Taste, rows: Rows) -> Flags:
    """Of one of the caller's categories, if any were named, and not excluded by the caller; empty: all are."""
    if not has_rules(taste):
        return NO_FLAGS
    question, wanted = taste.question, set(taste.question.categories)
    return np.array(
        [
            (not wanted or not wanted.isdisjoint(view.categories[row])) and view.ids[row] not in question.exclude
            for row in rows.tolist()
        ],
        np.bool_,
    )


@compiled
def sifted(sieve: Sieve, moment: Moment, rows: Rows, asked: Flags) -> tuple[Flags, NDArray[np.int64]]:
    """Which rows every filter keeps for this user, and how many each removed; a row counts for the first that did.

    Rows of -1 stand for nothing: neither kept nor removed.
    """
    keep, removed, now = np.zeros(len(rows), np.bool_), np.zeros(len(FILTERS), np.int64), moment.now
    maybe = _maybe_hidden(sieve, moment)
    for at in range(len(rows)):
        row = rows[at]
        if row < 0:
            continue
        if not sieve.shown[row]:
            removed[_AVAILABLE] += 1
        elif sieve.timed and not sieve.published_at[row] <= now < sieve.expires_at[row]:
            removed[_CURRENT] += 1
        elif len(asked) and not asked[at]:
            removed[_ASKED_FOR] += 1
        elif maybe[row % _BUCKETS] and _is_hidden(sieve, moment, row):
            removed[_UNSEEN] += 1
        else:
            keep[at] = True
    return keep, removed


@compiled
def _maybe_hidden(sieve: Sieve, moment: Moment) -> Flags:
    """By bucket of rows whether any is hidden: most are not, which is seen at a glance."""
    maybe = np.zeros(_BUCKETS, np.bool_)
    if sieve.no_soon or sieve.no_later:
        for row in moment.heard.had:
            maybe[row % _BUCKETS] = True
        for row in moment.heard.left:
            maybe[row % _BUCKETS] = True
    return maybe


@compiled
def _is_hidden(sieve: Sieve, moment: Moment, row: int) -> bool:
    """Had by this user, as far as people do not come back to what they had."""
    had, ages = moment.heard.had, moment.ages
    for at in range(len(had)):
        if had[at] == row and (sieve.no_soon if ages[at] < SOON else sieve.no_later):
            return True
    if sieve.no_later:
        for other in moment.heard.left:
            if other == row:
                return True
    return False


def allowed(view: ItemView, taste: Taste, rows: Rows, habits: Habits | None) -> tuple[Flags, Removed]:
    """What `sifted` says of these rows."""
    keep, removed = sifted(sieve_of(view, habits), taste.moment, rows, asked_for(view, taste, rows))
    return keep, told(removed)


def told(removed: NDArray[np.int64]) -> Removed:
    """How many each filter removed, by name."""
    return dict(zip(FILTERS, removed.tolist(), strict=True))
