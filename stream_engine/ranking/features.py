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
_TEXT = slice(_HAD_AGO + 1, _HAD_AGO + 1 + len(LIKENESS))
_HAD_BEFORE, _NEVER = range(_TEXT.stop, _TEXT.stop + 2)
_COMPARED = np.array([FEATURES.index(name) for name in COMPARED])
_BEHIND = len(_OWN)
_HOUR, _WEEK, _YEAR = 3_600.0, 604_800.0, 31_536_000.0
_RECENT = 10  # items whose kind is told
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
    """One line a candidate, in the order of FEATURES, most numbers between 0 and 3."""
    traits, half_lives = stock.traits, stock.half_lives
    now, ages, heard = moment.now, moment.ages, moment.heard
    table = np.empty((len(rows), len(FEATURES)), np.float32)
    table[:, _TEXT] = likeness(traits, stock.mean, rows, moment.probes)
    best = np.full(len(_COMPARED), -np.inf, np.float32)
    longest = 0.0  # where only a hash is left, it was had as long ago as anything that is remembered
    for age in ages:
        longest = max(longest, age)
    for at in range(len(rows)):
        row, line = rows[at], table[at]
        clicked = traits.clicks[row] > 0
        idle = max(now - traits.last_click[row], 0.0)
        for kind in range(len(_GRAINS)):
            line[kind] = _logs(strengths[at, kind] / _GRAINS[kind])
        for span in range(len(POPULARITY)):
            line[_POPULAR + span] = 0.0
            if span < len(half_lives):
                left_over = np.float32(2.0) ** -(np.float32(idle) / half_lives[span])
                line[_POPULAR + span] = _logs(traits.popularity[row, span] * left_over)
        line[_AGE] = _logs(max(now - traits.first_click[row], 0.0) / _HOUR) if clicked else 0.0
        line[_IDLE] = _logs(idle / _HOUR) if clicked else 0.0
        line[_HAD_AGO] = line[_HAD_BEFORE] = 0.0
        line[_NEVER] = 0.0 if clicked else 1.0
        if strengths[at, _AGAIN] > 0:
            line[_HAD_AGO] = _logs(_had_ago(row, heard, ages, longest) / _HOUR)
            line[_HAD_BEFORE] = 1.0 if (heard.left == row).any() else 0.0
        for place in range(len(_COMPARED)):
            best[place] = max(best[place], line[_COMPARED[place]])
    for at in range(len(rows)):
        for place in range(len(_COMPARED)):
            table[at, _BEHIND + place] = table[at, _COMPARED[place]] - best[place]
    return table


@compiled
def _had_ago(row: int, heard: Heard, ages: NDArray[np.float64], default: float) -> float:
    """Seconds since this user had it."""
    for place in range(len(heard.had)):
        if heard.had[place] == row:
            return max(float(ages[place]), 0.0)
    return default


@compiled
def _logs(value: float) -> float:
    """Heavy tails tamed: about proportional below 1, growing by one half for each e-fold above it."""
    return 0.5 * math.log1p(value) if value > 0 else 0.0


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
    facts[6], facts[7] = _logs(float(clicks)), _logs(gap / _HOUR)
    for place in range(len(recent)):
        popular = _logs(float(traits.popularity[recent[place], span]))
        if place == 0:
            facts[8] = popular
        facts[9] += popular / len(recent)
        facts[10] += _logs(max(now - traits.first_click[recent[place]], 0.0) / _HOUR) / len(recent)
    return facts
