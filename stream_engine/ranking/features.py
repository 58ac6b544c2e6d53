"""What the ranker sees of a candidate: every number means the same in a small and in a large catalogue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.candidates import Candidates
from stream_engine.ranking.sources import STRENGTHS
from stream_engine.ranking.taste import Taste

POPULARITY = ("popular_hour", "popular_day", "popular_week", "popular_months")
TEXT = ("like_profile", "like_last", "like_interest")
REST = ("never_clicked", "age", "idle", "had_ago")
FEATURES = (*STRENGTHS, *POPULARITY, *TEXT, *REST)
FACTS = (
    *("clicks_under_3", "clicks_under_10", "clicks_10_up", "within_hour", "after_week", "no_text"),
    *("clicks", "gap", "last_popular", "recent_popular", "recent_age"),
)
Features = NDArray[np.float32]  # (n, len(FEATURES))
Facts = NDArray[np.float32]  # (len(FACTS),)

_GRAINS = np.array([0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 1.0], np.float32)  # strengths below which little matters
_HOUR, _WEEK, _YEAR = 3_600.0, 604_800.0, 31_536_000.0
_RECENT = 10  # items whose kind is told


def features_of(view: ItemView, found: Candidates) -> Features:
    """One line a candidate, in the order of FEATURES, most numbers between 0 and 3."""
    columns, rows, taste = view.columns, found.rows, found.taste
    now = taste.question.now
    clicked = columns.clicks[rows] > 0
    idle = np.maximum(now - columns.last_click[rows], 0.0)
    age = np.maximum(now - columns.first_click[rows], 0.0)
    return np.concatenate(
        [
            _logs(found.strengths, _GRAINS),
            popularity(view, rows, idle),
            likeness(view, taste, rows),
            np.where(clicked, [~clicked, _logs(age, _HOUR), _logs(idle, _HOUR)], [[1.0], [0.0], [0.0]]).T,
            _had_ago(taste, rows)[:, None],
        ],
        axis=1,
        dtype=np.float32,
    )


def popularity(view: ItemView, rows: Rows, idle: NDArray[np.float64]) -> Features:
    """Logarithms of the decayed click counts."""
    halves = np.array(view.settings.half_lives)
    return _logs(view.columns.popularity[rows] * np.exp2(-idle[:, None] / halves), 1.0)


def likeness(view: ItemView, taste: Taste, rows: Rows) -> Features:
    """Cosines to the profile, to the last item, and to the nearest interest; 0 where there is no text."""
    cosines = np.zeros((len(rows), len(TEXT)), np.float32)
    if len(taste.probes):
        columns = view.columns
        # (steps * codes - mean) @ probe / norm, without a pass over the vectors for each operation
        dots = columns.codes[rows].astype(np.float32) @ taste.probes.T * columns.steps[rows, None]
        every = (dots - taste.probes @ view.space.mean) / columns.norms[rows, None]
        every *= columns.has_vector[rows, None]
        cosines[:, :2] = every[:, :2]
        cosines[:, 2] = every[:, 2:].max(axis=1, initial=-1.0) if every.shape[1] > 2 else every[:, 0]
    return cosines


def _logs(values: NDArray[np.floating], grain: NDArray[np.floating] | float) -> Features:
    """Heavy tails tamed: about proportional below the grain, growing by one half for each e-fold above it."""
    logs: Features = np.log1p(values / grain, dtype=np.float32) * np.float32(0.5)
    return logs


def _had_ago(taste: Taste, rows: Rows) -> Features:
    """Logarithm of the time since this user had each; 0 where they did not."""
    same = rows[:, None] == taste.had
    return _logs(same @ np.maximum(taste.ages, 0.0), _HOUR)


def facts_of(view: ItemView, taste: Taste) -> Facts:
    """What kind of moment this is for the user, and what kind of items they had."""
    clicks, gap = taste.question.interactions, min(taste.since, _YEAR)
    columns, recent = view.columns, taste.recent[:_RECENT]
    popular = _logs(columns.popularity[recent, -2], 1.0)
    ages = _logs(np.maximum(taste.question.now - columns.first_click[recent], 0.0), _HOUR)
    none = not len(recent)
    return np.array(
        [
            clicks < 3,
            3 <= clicks < 10,
            clicks >= 10,
            gap < _HOUR,
            gap > _WEEK,
            not len(taste.probes),
            0.5 * math.log1p(clicks),
            0.5 * math.log1p(gap / _HOUR),
            0.0 if none else popular[0],
            0.0 if none else popular.mean(),
            0.0 if none else ages.mean(),
        ],
        np.float32,
    )
