"""Where candidates come from: small named parts that propose rows with strengths, each held to its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import Match
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.taste import Taste

LATELY = 5  # items whose recent pairs count
BRIDGED = 2  # items whose text neighbours speak
BRIDGE_WIDTH = 8  # text neighbours of each, ...
BRIDGE_REACH = 32  # and of those the strongest neighbours

Floats = NDArray[np.floating]


class Proposal(NamedTuple):
    """Rows, repeated at will, and for each name a strength per row; a row's strengths add up."""

    rows: Rows
    strengths: Mapping[str, Floats]


Source = Callable[[ItemView, Taste, Sequence[Match]], Proposal]


def clicked_together(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Co-click neighbours of the recent items; a pair counts over the roots of both items' pair weights."""
    columns, recent = view.columns, taste.recent
    rows = columns.neighbours[recent]
    rarity = columns.rarity
    scale = rarity[rows] * rarity[recent, None] * (rows >= 0)
    together = columns.together[recent] * scale
    lately = columns.lately[recent[:LATELY]] * scale[:LATELY]
    cautious = 1.0 / (columns.clicks[recent[:LATELY]] + 3.0)
    after = columns.after[recent[:LATELY]] * (cautious[:, None] * (rows[:LATELY] >= 0))
    width = rows.shape[1]
    return Proposal(
        rows.ravel(),
        {
            "together": (together * taste.voices[:, None]).ravel(),
            "with_last": _padded(together[:1].ravel(), rows.size),
            "lately": _padded((lately * taste.voices[:LATELY, None]).ravel(), len(recent) * width),
            "after": _padded((after * taste.voices[:LATELY, None]).ravel(), len(recent) * width),
        },
    )


def follows(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """What was clicked right after the last item: how often of all times, cautiously."""
    columns, last = view.columns, taste.recent[:1]
    rows = columns.followers[last].ravel()
    share = columns.follows[last].ravel() / (columns.followed[last].sum() + 3.0)
    return Proposal(rows, {"follows": share * (rows >= 0)})


def bridge(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Co-click neighbours of items whose text is like the last ones': the way to and from new items."""
    columns, last = view.columns, taste.recent[:BRIDGED]
    pillars = columns.similar[last, :BRIDGE_WIDTH]
    weights = (taste.voices[: len(last), None] * _NEARNESS[:BRIDGE_WIDTH] * (pillars >= 0)).ravel()
    pillars = pillars.ravel()[weights > 0]
    weights = weights[weights > 0]
    rows = columns.neighbours[pillars, :BRIDGE_REACH]
    rarity = columns.rarity
    scale = rarity[rows] * (rarity[pillars] * weights)[:, None] * (rows >= 0)
    return Proposal(rows.ravel(), {"bridge": (columns.together[pillars, :BRIDGE_REACH] * scale).ravel()})


def similar(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """Nearest by text to each of the last few items."""
    last = taste.recent[:LATELY]
    rows = view.columns.similar[last]
    weights = taste.voices[: len(last), None] * _NEARNESS * (rows >= 0)
    return Proposal(rows.ravel(), {"similar": weights.ravel()})


def interests(view: ItemView, _: Taste, matches: Sequence[Match]) -> Proposal:
    """What the index found nearest to the user's interests."""
    found = [(row, match.score) for match in matches if (row := view.row(match.item_id)) is not None]
    rows = np.array([row for row, _ in found], np.int64)
    return Proposal(rows, {"interests": np.array([2.0 + score for _, score in found], np.float32)})


def trending(view: ItemView, _: Taste, __: Sequence[Match]) -> Proposal:
    """The most popular of each span of time."""
    return _ordered("trending", [best.rows() for best in view.trending])


def trending_in_category(view: ItemView, taste: Taste, _: Sequence[Match]) -> Proposal:
    """The popular of the categories that tell this user from others."""
    weights: dict[str, float] = {}
    for row, voice in zip(taste.recent.tolist(), taste.voices.tolist(), strict=False):
        for name in view.categories[row]:
            weights[name] = weights.get(name, 0.0) + voice
    for name in taste.question.categories:
        weights[name] = float("inf")
    best = sorted(weights, key=lambda name: (-weights[name] / view.category_sizes.get(name, 1) ** 0.5, name))[:3]
    return _ordered("trending_in_category", [view.shelves[name].rows() for name in best if name in view.shelves])


def newest(view: ItemView, _: Taste, __: Sequence[Match]) -> Proposal:
    """What the catalogue took up last, and what was clicked for the first time last."""
    return _ordered("newest", [view.newest.rows(), view.emerging.rows()])


def again(_: ItemView, taste: Taste, __: Sequence[Match]) -> Proposal:
    """What this user had before, as often as they had it."""
    return Proposal(taste.had, {"again": taste.counts})


SOURCES: tuple[Source, ...] = (
    clicked_together,
    follows,
    bridge,
    similar,
    interests,
    trending,
    trending_in_category,
    newest,
    again,
)
BUDGETS: Mapping[str, int] = {
    "together": 80,
    "with_last": 40,
    "lately": 60,
    "after": 60,
    "follows": 32,
    "bridge": 60,
    "similar": 30,
    "interests": 60,
    "trending": 60,
    "trending_in_category": 30,
    "newest": 40,
    "again": 30,
}
STRENGTHS = tuple(BUDGETS)
_NEARNESS = (0.9 ** np.arange(16)).astype(np.float32)


def _ordered(name: str, lists: Sequence[Rows]) -> Proposal:
    """Lists that are best first, interleaved by falling strength."""
    if not lists:
        return Proposal(np.zeros(0, np.int64), {name: np.zeros(0, np.float32)})
    places = np.concatenate([np.arange(len(rows)) for rows in lists])
    return Proposal(np.concatenate(lists), {name: 1.0 / (1.0 + places)})


def _padded(values: Floats, length: int) -> Floats:
    padded = np.zeros(length, values.dtype)
    padded[: len(values)] = values
    return padded
