"""What the ranker sees of a candidate: every number means the same in a small and in a large catalogue."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import Pairs, Traits
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.pool import STRENGTHS
from stream_engine.ranking.taste import LIKENESS, Moment, likeness
from stream_engine.ranking.weighing import Heard

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
_POPULAR = len(STRENGTHS)  # the first of these features, and so on
_AGE, _IDLE, _HAD_AGO = range(_POPULAR + len(POPULARITY), _POPULAR + len(POPULARITY) + len(TIMES))
_TEXT = _HAD_AGO + 1
_HAD_BEFORE, _NEVER = range(_TEXT + len(LIKENESS), _TEXT + len(LIKENESS) + 2)
_COMPARED = np.array([FEATURES.index(name) for name in COMPARED])
_BEHIND = len(_OWN)
_HOUR, _WEEK, _YEAR = 3_600.0, 604_800.0, 31_536_000.0
_RECENT = 10  # items whose kind is told
_LOG_2 = math.log(2.0)
_HALF_LOG_2 = np.float32(0.5 * _LOG_2)
_THIRD, _FIFTH, _SEVENTH, _NINTH = (np.float32(1 / odd) for odd in (3, 5, 7, 9))
_TAYLOR = np.array([1 / math.factorial(power) for power in range(6, -1, -1)], np.float32)
_NO_TEXT = FACTS.index("no_text")


class Stock(NamedTuple):
    """What compiled loops read of a view."""

    traits: Traits
    pairs: Pairs
    mean: NDArray[np.float32]  # of the text space
    half_lives: NDArray[np.float32]


def stock_of(view: ItemView) -> Stock:
    """The arrays of the view as they are now."""
    return Stock(view.columns.traits, view.columns.pairs, view.space.mean, view.half_lives)


@compiled
def features_of(stock: Stock, moment: Moment, rows: Rows, strengths: NDArray[np.float32]) -> Features:
    """One line a candidate, in the order of FEATURES, most numbers between 0 and 3; feature by feature in memory."""
    columns = np.empty((len(FEATURES), len(rows)), np.float32)
    alike = likeness(stock.traits, stock.mean, rows, moment.probes)
    for kind in range(alike.shape[1]):
        columns[_TEXT + kind] = alike[:, kind]
    for kind in range(len(_GRAINS)):
        column = columns[kind]
        for at in range(len(rows)):  # by itself, so that the next loop takes many numbers at once
            column[at] = strengths[at, kind] / _GRAINS[kind]
        for at in range(len(rows)):
            column[at] = _logs(column[at])
    _tell_clicks(stock, moment.now, rows, columns)
    _tell_had(moment, rows, strengths, columns)
    for place in range(len(_COMPARED)):
        column, behind = columns[_COMPARED[place]], columns[_BEHIND + place]
        best = np.float32(-np.inf)
        for at in range(len(rows)):
            best = max(best, column[at])
        for at in range(len(rows)):
            behind[at] = column[at] - best
    return columns.T


@compiled
def _tell_clicks(stock: Stock, now: float, rows: Rows, columns: NDArray[np.float32]) -> None:
    """How popular each item is, and how long ago it was clicked first and last."""
    traits, half_lives = stock.traits, stock.half_lives
    idle, age, clicked = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32), columns[_NEVER]
    for at in range(len(rows)):
        row = rows[at]
        clicked[at] = 1.0 if traits.clicks[row] > 0 else 0.0
        idle[at], age[at] = max(now - traits.last_click[row], 0.0), max(now - traits.first_click[row], 0.0)
        for span in range(len(POPULARITY)):
            columns[_POPULAR + span, at] = traits.popularity[row, span] if span < len(half_lives) else 0.0
    for span in range(min(len(POPULARITY), len(half_lives))):
        popular = columns[_POPULAR + span]
        for at in range(len(rows)):
            popular[at] = _logs(popular[at] * _halved(idle[at] / half_lives[span]))
    for at in range(len(rows)):
        columns[_AGE, at] = clicked[at] * _logs(age[at] / np.float32(_HOUR))
        columns[_IDLE, at] = clicked[at] * _logs(idle[at] / np.float32(_HOUR))
        columns[_NEVER, at] = np.float32(1.0) - clicked[at]


@compiled
def _tell_had(moment: Moment, rows: Rows, strengths: NDArray[np.float32], columns: NDArray[np.float32]) -> None:
    """What this user had before, and how long ago."""
    ages, heard = moment.ages, moment.heard
    longest = 0.0  # where only a hash is left, it was had as long ago as anything that is remembered
    for age in ages:
        longest = max(longest, age)
    for at in range(len(rows)):
        columns[_HAD_AGO, at] = columns[_HAD_BEFORE, at] = 0.0
        if strengths[at, _AGAIN] > 0:
            columns[_HAD_AGO, at] = _logs(np.float32(_had_ago(rows[at], heard, ages, longest) / _HOUR))
            columns[_HAD_BEFORE, at] = 1.0 if (heard.left == rows[at]).any() else 0.0


@compiled
def _had_ago(row: int, heard: Heard, ages: NDArray[np.float64], default: float) -> float:
    """Seconds since this user had it."""
    for place in range(len(heard.had)):
        if heard.had[place] == row:
            return max(float(ages[place]), 0.0)
    return default


@compiled
def _logs(value: np.float32) -> np.float32:
    """Heavy tails tamed: half of log(1 + value), which grows by one half for each e-fold above 1; 0 below 0.

    The exponent of 1 + value, and of what is left the series of the area tangent: to some 1e-6. The library's
    logarithm takes one number at a time, and more than any other part of the features.
    """
    bits = np.float32(np.float32(1.0) + max(value, np.float32(0.0))).view(np.int32)
    rest = np.int32((bits & 0x007FFFFF) | 0x3F800000).view(np.float32)
    turn = (rest - np.float32(1.0)) / (rest + np.float32(1.0))
    square = turn * turn
    series = _THIRD + square * (_FIFTH + square * (_SEVENTH + square * _NINTH))
    return np.float32((bits >> 23) - 127) * _HALF_LOG_2 + turn + turn * square * series


@compiled
def _halved(times: np.float32) -> np.float32:
    """1 halved so many times, to some 1e-7: a power of two, and Taylor's series of what is left."""
    whole = np.floor(np.float32(0.5) - min(times, np.float32(126.0)))
    rest = (-min(times, np.float32(126.0)) - whole) * np.float32(_LOG_2)
    series = np.float32(0.0)
    for place in range(len(_TAYLOR)):
        series = series * rest + _TAYLOR[place]
    return series * np.int32((np.int32(whole) + 127) << 23).view(np.float32)


@compiled
def facts_of(stock: Stock, moment: Moment) -> Facts:
    """What kind of moment this is for the user, and what kind of items they had.

    In the order of FACTS; what is popular is so by the last half-life but one.
    """
    facts = np.zeros(len(FACTS), np.float32)
    traits, clicks, now, recent = stock.traits, moment.interactions, moment.now, moment.heard.recent[:_RECENT]
    gap, span = min(moment.since, _YEAR), max(traits.popularity.shape[1] - 2, 0)
    facts[0], facts[1], facts[2] = clicks < 3, 3 <= clicks < 10, clicks >= 10
    facts[3], facts[4] = gap < _HOUR, gap > _WEEK
    facts[_NO_TEXT] = len(moment.probes) == 0
    facts[6], facts[7] = _logs(np.float32(clicks)), _logs(np.float32(gap / _HOUR))
    for place in range(len(recent)):
        popular = _logs(traits.popularity[recent[place], span])
        if place == 0:
            facts[8] = popular
        facts[9] += popular / len(recent)
        facts[10] += _logs(np.float32(max(now - traits.first_click[recent[place]], 0.0) / _HOUR)) / len(recent)
    return facts
