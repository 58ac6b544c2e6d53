"""What may not be shown, and why: every filter keeps some rows and says how many it removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.question import Question

Flags = NDArray[np.bool_]
Filter = Callable[[ItemView, Question, Rows], Flags]


@dataclass(frozen=True, slots=True)
class Filtered:
    """The rows that stay, in order, and how many each filter removed."""

    rows: Rows
    removed: Mapping[str, int]


def known(view: ItemView, _: Question, rows: Rows) -> Flags:
    """In the catalogue."""
    return view.columns.known[rows]


def available(view: ItemView, _: Question, rows: Rows) -> Flags:
    """Announced as available."""
    return view.columns.available[rows]


def current(view: ItemView, question: Question, rows: Rows) -> Flags:
    """Published and not expired at the moment of the question."""
    columns = view.columns
    return (columns.expires_at[rows] > question.now) & (columns.published_at[rows] <= question.now)


def asked_for(view: ItemView, question: Question, rows: Rows) -> Flags:
    """Of one of the caller's categories, if any were named, and not excluded by the caller."""
    fits = np.ones(len(rows), np.bool_)
    if question.categories:
        wanted = set(question.categories)
        fits &= [not wanted.isdisjoint(view.categories[row]) for row in rows]
    if question.exclude:
        fits &= [view.ids[row] not in question.exclude for row in rows]
    return fits


def unseen(view: ItemView, question: Question, rows: Rows) -> Flags:
    """Not yet had by this user."""
    recent = view.rows(item_id for item_id, _ in question.recent)
    seen: Flags = np.isin(rows, recent) | np.isin(view.columns.hashes[rows], question.left)
    return ~seen


HARD: Mapping[str, Filter] = {"known": known, "available": available, "current": current, "asked_for": asked_for}
SOFT: Mapping[str, Filter] = {"unseen": unseen}  # given up before a list would be empty


def apply(filters: Mapping[str, Filter], view: ItemView, question: Question, rows: Rows) -> Filtered:
    """The rows every filter keeps; a row counts for the first filter that removed it."""
    removed: dict[str, int] = {}
    for name, keep in filters.items():
        kept = rows[keep(view, question, rows)]
        removed[name] = len(rows) - len(kept)
        rows = kept
    return Filtered(rows, removed)
