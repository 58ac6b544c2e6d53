"""Where candidates come from: small named parts that propose rows to several questions, each held to its budget.

A part either weighs its rows (weighing.py), or lists them best first (here).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.bounded import in_turn
from stream_engine.items.columns import Times, Traits
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.taste import Moments, Taste, likeness, moment_at
from stream_engine.ranking.weighing import LATELY, WEIGHING
from stream_engine.vectors import Vector

CATEGORIES = 3
YOUNG, YOUTH = 60, 30 * 86_400.0  # items that count as new, and for how many seconds at most

Lines = NDArray[np.int64]
"""Rows for several questions, a line each, best first; -1 stands for nothing."""


class Asking(NamedTuple):
    """Several questions at once: the users' tastes, the same as compiled loops read them, what the index found."""

    tastes: Sequence[Taste]
    moments: Moments
    matches: Sequence[Rows]


Listing = Callable[[ItemView, Asking], Lines]


def similar(view: ItemView, asking: Asking) -> Lines:
    """Nearest by text to each of the last few items."""
    return _nearest(view.columns.similar, asking.moments)


def interests(_: ItemView, asking: Asking) -> Lines:
    """What the index found nearest to the users' interests."""
    return _lines(asking.matches)


def trending(view: ItemView, asking: Asking) -> Lines:
    """The most popular of each span of time."""
    return view.popular.rows(BUDGETS["trending"])[None].repeat(len(asking.tastes), axis=0)


def trending_in_category(view: ItemView, asking: Asking) -> Lines:
    """The popular of the categories that tell each user from others, or that were asked for."""
    return _lines([_popular_in_category(view, taste) for taste in asking.tastes])


def newest(view: ItemView, asking: Asking) -> Lines:
    """Of what the catalogue took up last the most to each taste, and what was clicked for the first time last."""
    columns, each = view.columns, BUDGETS["newest"] // 2
    young, emerging = view.newest.rows()[:YOUNG], view.emerging.rows()[:each]
    lines = _fresh(columns.traits, columns.first_seen, view.space.mean, asking.moments, young, each)
    lines[:, : len(emerging), 1] = emerging
    return lines.reshape(len(lines), -1)


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
def _nearest(similar: NDArray[np.int32], moments: Moments) -> Lines:
    """The nearest of each of the last few items, then the second nearest, and so on."""
    questions, nearest = len(moments.numbers), similar.shape[1]
    lines = np.full((questions, nearest * LATELY), -1)
    for at in range(questions):
        recent = moment_at(moments, at).heard.recent[:LATELY]
        for voice in range(len(recent)):
            for place in range(nearest):
                lines[at, place * LATELY + voice] = similar[recent[voice], place]
    return lines


@compiled
def _fresh(
    traits: Traits, first_seen: Times, mean: Vector, moments: Moments, rows: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Of those taken up in the last while `count` for each question, the ones most like its profile first.

    Shape (questions, count, 2), of which the second half is left to others.
    """
    lines = np.full((len(moments.numbers), count, 2), -1)
    for at in range(len(lines)):
        moment = moment_at(moments, at)
        fresh = rows[first_seen[rows] > moment.now - YOUTH]
        alike = likeness(traits, mean, fresh, moment.probes[:1])[:, 0]  # without a profile nothing is like it
        best = fresh[np.argsort(-alike, kind="mergesort")][:count]  # which is stable
        lines[at, : len(best), 0] = best
    return lines
