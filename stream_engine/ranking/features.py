"""What the ranker sees of a candidate: every number means the same in a small and in a large catalogue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.candidates import Candidates
from stream_engine.ranking.sources import STRENGTHS
from stream_engine.ranking.taste import Taste

POPULARITY = ("popular_hour", "popular_day", "popular_week", "popular_months")
TEXT = ("like_profile", "like_last", "like_interest")
REST = ("never_clicked", "age", "idle")
_PROPOSED = ("together", "with_last", "lately", "follows", "bridge", "again")
FEATURES = (*_PROPOSED, *POPULARITY, *TEXT, *REST)
FACTS = ("clicks_under_3", "clicks_under_10", "clicks_10_up", "within_hour", "after_week", "no_text")
Features = NDArray[np.float32]  # (n, len(FEATURES))
Facts = NDArray[np.float32]  # (len(FACTS),)

_TAKEN = [STRENGTHS.index(name) for name in _PROPOSED]
_SCALES = np.array([1.0, 2.0, 2.0, 4.0, 4.0, 0.5], np.float32)
_DAY = 86_400.0


def features_of(view: ItemView, found: Candidates) -> Features:
    """One line a candidate, in the order of FEATURES, most numbers between 0 and 3."""
    columns, rows, taste = view.columns, found.rows, found.taste
    now = taste.question.now
    clicked = columns.clicks[rows] > 0
    idle = np.maximum(now - columns.last_click[rows], 0.0)
    age = np.maximum(now - columns.first_click[rows], 0.0)
    table = np.zeros((len(rows), len(FEATURES)), np.float32)
    table[:, :6] = found.strengths[:, _TAKEN] * _SCALES
    table[:, 6:10] = popularity(view, rows, idle)
    table[:, 10:13] = likeness(view, taste, rows)
    table[:, 13] = ~clicked
    table[:, 14] = np.where(clicked, np.log1p(age / _DAY), 0.0) / 4.0
    table[:, 15] = np.where(clicked, np.log1p(idle / _DAY), 0.0) / 4.0
    return table


def popularity(view: ItemView, rows: Rows, idle: NDArray[np.float64]) -> Features:
    """Logarithms of the decayed click counts."""
    halves = np.array(view.settings.half_lives)
    counts = view.columns.popularity[rows] * np.exp2(-idle[:, None] / halves)
    logs: Features = np.log1p(counts).astype(np.float32) * np.float32(0.5)
    return logs


def likeness(view: ItemView, taste: Taste, rows: Rows) -> Features:
    """Cosines to the profile, to the last item, and to the nearest interest; 0 where there is no text."""
    cosines = np.zeros((len(rows), len(TEXT)), np.float32)
    if len(taste.probes):
        columns = view.columns
        # (steps * codes - mean) @ probe / norm, without a pass over the rows for each operation
        dots = columns.codes[rows].astype(np.float32) @ taste.probes.T * columns.steps[rows, None]
        every = (dots - taste.probes @ view.space.mean) / columns.norms[rows, None]
        every *= columns.has_vector[rows, None]
        cosines[:, :2] = every[:, :2]
        cosines[:, 2] = every[:, 2:].max(axis=1, initial=-1.0) if every.shape[1] > 2 else every[:, 0]
    return cosines


def facts_of(taste: Taste) -> Facts:
    """What kind of moment this is for the user."""
    clicks = taste.question.interactions
    return np.array(
        [
            clicks < 3,
            3 <= clicks < 10,
            clicks >= 10,
            taste.since < 3_600,
            taste.since > 7 * _DAY,
            not len(taste.probes),
        ],
        np.float32,
    )
