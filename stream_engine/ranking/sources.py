"""Where candidates come from: small named parts that propose rows, each held to its budget.

A part either weighs its rows (weighing.py), or lists them best first (here).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.bounded import in_turn
from stream_engine.items.columns import Times, Traits
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.taste import Taste, likeness
from stream_engine.ranking.weighing import LATELY, WEIGHING
from stream_engine.vectors import Matrix, Vector

CATEGORIES = 3
YOUNG, YOUTH = 60, 30 * 86_400.0  # items that count as new, and for how many seconds at most

Listing = Callable[[ItemView, Taste, Rows], Rows]


def similar(view: ItemView, taste: Taste, _: Rows) -> Rows:
    """Nearest by text to each of the last few items."""
    return view.columns.similar[taste.recent[:LATELY]].T.ravel()


def interests(_: ItemView, __: Taste, matches: Rows) -> Rows:
    """What the index found nearest to the user's interests."""
    return matches


def trending(view: ItemView, _: Taste, __: Rows) -> Rows:
    """The most popular of each span of time."""
    return view.popular.rows(BUDGETS["trending"])


def trending_in_category(view: ItemView, taste: Taste, _: Rows) -> Rows:
    """The popular of the categories that tell this user from others, or that were asked for."""
    weights: dict[str, float] = dict.fromkeys(taste.question.categories, float("inf"))
    for row, voice in zip(taste.recent[:LATELY].tolist(), taste.voices.tolist(), strict=False):
        for name in view.categories[row]:
            weights[name] = weights.get(name, 0.0) + voice / view.category_sizes[name] ** 0.5
    best = sorted(weights, key=lambda name: (-weights[name], name))[:CATEGORIES]
    shelves = [view.shelves[name].rows() for name in best if name in view.shelves]
    return in_turn(shelves, BUDGETS["trending_in_category"])


def newest(view: ItemView, taste: Taste, _: Rows) -> Rows:
    """Of what the catalogue took up last the most to the user's taste, and what was clicked for the first time last."""
    columns, young = view.columns, view.newest.rows()[:YOUNG]
    since = taste.question.now - YOUTH
    fresh = _fresh(columns.traits, columns.first_seen, view.space.mean, taste.probes[:1], young, since)
    return in_turn([fresh, view.emerging.rows()], BUDGETS["newest"])


LISTING: Mapping[str, Listing] = {
    "similar": similar,
    "interests": interests,
    "trending": trending,
    "trending_in_category": trending_in_category,
    "newest": newest,
}
SOURCES = (*WEIGHING, *LISTING)
BUDGETS: Mapping[str, int] = {
    "together": 100,
    "after": 80,
    "follows": 32,
    "bridge": 60,
    "similar": 60,
    "interests": 60,
    "trending": 160,
    "trending_in_category": 30,
    "newest": 30,
    "again": 60,
}  # by strength, or by source where rows are listed; what is not here is only a feature


@compiled
def _fresh(
    traits: Traits, first_seen: Times, mean: Vector, probes: Matrix, rows: NDArray[np.int64], since: float
) -> NDArray[np.int64]:
    """Those taken up since then, the ones most like the first probe first."""
    fresh = rows[first_seen[rows] > since]
    if len(probes):
        alike = likeness(traits, mean, fresh, probes)[:, 0]
        fresh = fresh[np.argsort(-alike, kind="mergesort")]  # which is stable
    return fresh
