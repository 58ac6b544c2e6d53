"""What the ranker sees of a candidate: every number means the same in a small and in a large catalogue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.candidates import Candidates
from stream_engine.ranking.sources import STRENGTHS
from stream_engine.ranking.taste import LIKENESS, Taste, likeness

POPULARITY = ("popular_hour", "popular_day", "popular_week", "popular_months")
TIMES = ("age", "idle", "had_ago")
_OWN = (*STRENGTHS, *POPULARITY, *TIMES, *LIKENESS, "had_before", "never_clicked")
COMPARED = (*STRENGTHS, "popular_day", "like_profile", "like_last")  # also told relative to the best candidate
FEATURES = (*_OWN, *(f"{name}_behind" for name in COMPARED))
FACTS = (
    *("clicks_under_3", "clicks_under_10", "clicks_10_up", "within_hour", "after_week", "no_text"),
    *("clicks", "gap", "last_popular", "recent_popular", "recent_age"),
)
Features = NDArray[np.float32]  # (n, len(FEATURES))
Facts = NDArray[np.float32]  # (len(FACTS),)

# strengths below which little matters: logarithms are about proportional there
_GRAINS = np.array([1.0 if name == "again" else 0.01 for name in STRENGTHS], np.float32)
_AGAIN = STRENGTHS.index("again")
_STRENGTHS = slice(0, len(STRENGTHS))
_POPULARITY = slice(_STRENGTHS.stop, _STRENGTHS.stop + len(POPULARITY))
_AGE, _IDLE, _HAD_AGO = range(_POPULARITY.stop, _POPULARITY.stop + len(TIMES))
_LOGS = _HAD_AGO + 1
_TEXT = slice(_LOGS, _LOGS + len(LIKENESS))
_HAD_BEFORE, _NEVER = range(_TEXT.stop, _TEXT.stop + 2)
_COMPARED = [FEATURES.index(name) for name in COMPARED]
_BEHIND = slice(len(_OWN), None)
_HOUR, _WEEK, _YEAR = 3_600.0, 604_800.0, 31_536_000.0
_RECENT = 10  # items whose kind is told


def features_of(view: ItemView, found: Candidates) -> Features:
    """One line a candidate, in the order of FEATURES, most numbers between 0 and 3."""
    columns, rows, taste = view.columns, found.rows, found.taste
    clicked = columns.clicks[rows] > 0
    idle = np.maximum(taste.question.now - columns.last_click[rows], 0.0)
    table = np.empty((len(rows), len(FEATURES)), np.float32)
    np.divide(found.strengths, _GRAINS, out=table[:, _STRENGTHS])
    table[:, _POPULARITY] = popularity(view, rows, idle)
    table[:, _AGE] = np.maximum(taste.question.now - columns.first_click[rows], 0.0) * (clicked / _HOUR)
    table[:, _IDLE] = idle * (clicked / _HOUR)
    had = np.flatnonzero(found.strengths[:, _AGAIN])
    table[:, [_HAD_AGO, _HAD_BEFORE]] = 0.0
    table[had, _HAD_AGO] = _had_ago(taste, rows[had]) / _HOUR
    logs = table[:, :_LOGS]
    np.log1p(logs, out=logs)
    logs *= 0.5
    table[:, _TEXT] = likeness(view, taste, rows)
    table[had, _HAD_BEFORE] = (rows[had, None] == taste.left).any(axis=1)
    table[:, _NEVER] = ~clicked
    compared = table[:, _COMPARED]
    table[:, _BEHIND] = compared - compared.max(axis=0, initial=-np.inf)
    return table


def popularity(view: ItemView, rows: Rows, idle: NDArray[np.float64]) -> Features:
    """Clicks decayed to now, one column a half-life."""
    ages = -idle.astype(np.float32)[:, None] / np.array(view.settings.half_lives, np.float32)
    counts: Features = view.columns.popularity[rows] * np.exp2(ages)
    return counts


def _had_ago(taste: Taste, rows: Rows) -> NDArray[np.float64]:
    """Seconds since this user had each; where only a hash is left, as long ago as anything that is remembered."""
    same = rows[:, None] == taste.had
    ages: NDArray[np.float64] = np.maximum(taste.ages, 0.0)
    seconds: NDArray[np.float64] = np.where(same.any(axis=1), same @ ages, ages.max(initial=0.0))
    return seconds


def _logs(values: NDArray[np.floating], grain: float) -> NDArray[np.floating]:
    """Heavy tails tamed: about proportional below the grain, growing by one half for each e-fold above it."""
    logs: NDArray[np.floating] = np.log1p(values / grain) * 0.5
    return logs


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
