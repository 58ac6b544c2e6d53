"""Where candidates come from: small named parts that propose rows to several questions, each held to its budget.

A part either weighs its rows (weighing.py), or lists them best first (here).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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

Lines = NDArray[np.int64]
"""Rows for several questions, a line each, best first; -1 stands for nothing."""

Listing = Callable[[ItemView, Sequence[Taste], Sequence[Rows]], Lines]


def similar(view: ItemView, tastes: Sequence[Taste], _: Sequence[Rows]) -> Lines:
    """Nearest by text to each of the last few items."""
    recent = _lines([taste.recent[:LATELY] for taste in tastes])
    nearest = np.where(recent[:, :, None] >= 0, view.columns.similar[recent], -1)
    return nearest.transpose(0, 2, 1).reshape(len(tastes), -1)


def interests(_: ItemView, __: Sequence[Taste], matches: Sequence[Rows]) -> Lines:
    """What the index found nearest to the users' interests."""
    return _lines(matches)


def trending(view: ItemView, tastes: Sequence[Taste], _: Sequence[Rows]) -> Lines:
    """The most popular of each span of time."""
    return _to_all(view.popular.rows(BUDGETS["trending"]), tastes)


def trending_in_category(view: ItemView, tastes: Sequence[Taste], _: Sequence[Rows]) -> Lines:
    """The popular of the categories that tell each user from others, or that were asked for."""
    return _lines([_popular_in_category(view, taste) for taste in tastes])


def newest(view: ItemView, tastes: Sequence[Taste], _: Sequence[Rows]) -> Lines:
    """Of what the catalogue took up last the most to each taste, and what was clicked for the first time last."""
    columns, young = view.columns, view.newest.rows()[:YOUNG]
    profiles = np.zeros((len(tastes), len(view.space.mean)), np.float32)  # nothing is like a row of zeros
    for profile, taste in zip(profiles, tastes, strict=True):
        profile[:] = taste.probes[0] if len(taste.probes) else 0.0
    since = np.array([taste.question.now - YOUTH for taste in tastes])
    fresh = _fresh(columns.traits, columns.first_seen, view.space.mean, profiles, young, since)
    each = BUDGETS["newest"] // 2
    emerging = _to_all(view.emerging.rows(), tastes)
    lines = np.full((len(tastes), each, 2), -1)
    for place, rows in enumerate((fresh, emerging)):
        lines[:, : rows.shape[1], place] = rows[:, :each]
    return lines.reshape(len(tastes), -1)


def _popular_in_category(view: ItemView, taste: Taste) -> Rows:
    weights: dict[str, float] = dict.fromkeys(taste.question.categories, float("inf"))
    for row, voice in zip(taste.recent[:LATELY].tolist(), taste.voices.tolist(), strict=False):
        for name in view.categories[row]:
            weights[name] = weights.get(name, 0.0) + voice / view.category_sizes[name] ** 0.5
    best = sorted(weights, key=lambda name: (-weights[name], name))[:CATEGORIES]
    shelves = [view.shelves[name].rows() for name in best if name in view.shelves]
    return in_turn(shelves, BUDGETS["trending_in_category"])


def _lines(lists: Sequence[Rows]) -> Lines:
    """A line for each list."""
    lines = np.full((len(lists), max(map(len, lists))), -1)
    for line, rows in zip(lines, lists, strict=True):
        line[: len(rows)] = rows
    return lines


def _to_all(rows: Rows, tastes: Sequence[Taste]) -> Lines:
    """The same for everyone."""
    return rows[None].repeat(len(tastes), axis=0)


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
    traits: Traits, first_seen: Times, mean: Vector, profiles: Matrix, rows: NDArray[np.int64], since: Times
) -> Lines:
    """Those taken up since then, the ones most like each profile first."""
    lines = np.full((len(profiles), len(rows)), -1)
    for at in range(len(profiles)):
        fresh = rows[first_seen[rows] > since[at]]
        alike = likeness(traits, mean, fresh, profiles[at : at + 1])[:, 0]
        lines[at, : len(fresh)] = fresh[np.argsort(-alike, kind="mergesort")]  # which is stable
    return lines
