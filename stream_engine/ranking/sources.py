"""Where candidates come from: small named parts that propose rows, each held to its budget.

A part either weighs its rows, which may then come many times over and add up, or lists them best first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import Match
from stream_engine.items.view import SIMILAR, ItemView, Rows
from stream_engine.ranking.taste import Taste, likeness

LATELY = 5  # items whose recent pairs, later pairs and text neighbours count
REACH = 48  # strongest neighbours of the other recent items
BRIDGED = 2  # items whose text neighbours speak
BRIDGE_WIDTH = 8  # text neighbours of each, ...
BRIDGE_REACH = 32  # and of those the strongest neighbours
CATEGORIES = 3
YOUNG, YOUTH = 60, 30 * 86_400.0  # items that count as new, and for how many seconds at most
CAUTION = 3.0  # clicks that are assumed to have led nowhere

Floats = NDArray[np.floating]


class Proposal(NamedTuple):
    """Rows, and for each strength the weights of the first so many of them; no weights: the best come first."""

    rows: Rows
    weights: Mapping[str, Floats]


Source = Callable[[ItemView, Taste, Sequence[Match]], Proposal]


def clicked_together(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Co-click neighbours of the recent items, over the roots of both items' pairs or over the clicks."""
    columns, recent, voices = view.columns, taste.recent, taste.voices
    loud, quiet = recent[:LATELY], recent[LATELY:]
    near, far = columns.neighbours[loud], columns.neighbours[quiet, :REACH]
    rarity = columns.rarity
    own = rarity[recent] * voices
    near_rarity = rarity[near] * (near >= 0)
    together = columns.together[loud] * (near_rarity * own[:LATELY, None])
    rest = columns.together[quiet, :REACH] * (rarity[far] * (far >= 0) * own[LATELY:, None])
    lately = columns.lately[loud] * (near_rarity * own[:LATELY, None])
    after = columns.after[loud] * (voices[:LATELY] / (columns.clicks[loud] + CAUTION))[:, None]
    return Proposal(
        np.concatenate([near.ravel(), far.ravel()]),
        {
            "together": np.concatenate([together.ravel(), rest.ravel()]),
            "with_last": together[:1].ravel(),
            "lately": lately.ravel(),
            "after": after.ravel(),
        },
    )


def follows(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """What was clicked right after the last item: how often of all times, cautiously."""
    columns, last = view.columns, taste.recent[:1]
    share = columns.follows[last].ravel() / (columns.followed[last].sum() + CAUTION)
    return Proposal(columns.followers[last].ravel(), {"follows": share})


def bridge(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Co-click neighbours of items whose text is like the last ones': the way to and from new items."""
    columns, last = view.columns, taste.recent[:BRIDGED]
    pillars = columns.similar[last, :BRIDGE_WIDTH]
    loud = (taste.voices[: len(last), None] * _NEARNESS[:BRIDGE_WIDTH])[pillars >= 0]
    pillars = pillars[pillars >= 0]
    rows = columns.neighbours[pillars, :BRIDGE_REACH]
    rarity = columns.rarity
    weights = columns.together[pillars, :BRIDGE_REACH] * (rarity[rows] * (rarity[pillars] * loud)[:, None])
    return Proposal(rows.ravel(), {"bridge": weights.ravel()})


def similar(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Nearest by text to each of the last few items."""
    return Proposal(view.columns.similar[taste.recent[:LATELY]].T.ravel(), {})


def interests(view: ItemView, _: Taste, matches: Sequence[Match]) -> Proposal:
    """What the index found nearest to the user's interests."""
    return Proposal(view.rows([match.item_id for match in matches]), {})


def trending(view: ItemView, _: Taste, __: Sequence[Match]) -> Proposal:
    """The most popular of each span of time."""
    return Proposal(_in_turn([best.rows() for best in view.trending], BUDGETS["trending"]), {})


def trending_in_category(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """The popular of the categories that tell this user from others, or that were asked for."""
    weights: dict[str, float] = dict.fromkeys(taste.question.categories, float("inf"))
    for row, voice in zip(taste.recent[:LATELY].tolist(), taste.voices.tolist(), strict=False):
        for name in view.categories[row]:
            weights[name] = weights.get(name, 0.0) + voice / view.category_sizes[name] ** 0.5
    best = sorted(weights, key=lambda name: (-weights[name], name))[:CATEGORIES]
    shelves = [view.shelves[name].rows() for name in best if name in view.shelves]
    return Proposal(_in_turn(shelves, BUDGETS["trending_in_category"]), {})


def newest(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Of what the catalogue took up last the most to the user's taste, and what was clicked for the first time last."""
    young = view.newest.rows()[:YOUNG]
    young = young[view.columns.first_seen[young] > taste.question.now - YOUTH]
    if len(taste.probes) and len(young):
        young = young[np.argsort(-likeness(view, taste, young)[:, 0], kind="stable")]
    return Proposal(_in_turn([young, view.emerging.rows()], BUDGETS["newest"]), {})


def again(_: ItemView, taste: Taste, __: Sequence[Match]) -> Proposal:
    """What this user had before, as often as they are known to have had it, of equals the latest."""
    later = np.concatenate([taste.had, taste.left[::-1]])
    counts = np.concatenate([taste.counts, np.ones(len(taste.left), np.float32)])
    return Proposal(later, {"again": counts + np.linspace(0.1, 0.0, len(later))})


SOURCES: Mapping[str, Source] = {
    "clicked_together": clicked_together,
    "follows": follows,
    "bridge": bridge,
    "similar": similar,
    "interests": interests,
    "trending": trending,
    "trending_in_category": trending_in_category,
    "newest": newest,
    "again": again,
}
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
STRENGTHS = ("together", "with_last", "lately", "after", "follows", "bridge", "again")
_NEARNESS = (0.9 ** np.arange(SIMILAR)).astype(np.float32)


def _in_turn(lists: Sequence[Rows], count: int) -> Rows:
    """The best of each list in turn, `count` or so in all."""
    each = -(-count // max(len(lists), 1))
    padded = np.full((each, max(len(lists), 1)), -1, np.int64)
    for column, rows in enumerate(lists):
        padded[: len(rows[:each]), column] = rows[:each]
    return padded.ravel()
