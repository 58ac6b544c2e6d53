"""Why an item is in a list: the signals that carried its score, told as facts anyone can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.events import Reason, ReasonKind
from stream_engine.items.columns import Pairs, Traits
from stream_engine.items.view import Rows
from stream_engine.ranking.features import FEATURES, Features, Stock
from stream_engine.ranking.proposed import TRENDING
from stream_engine.ranking.weighing import singles

MOST = 2
LEAST_SHARE = 0.1
LEAST_ALIKE = 0.2  # centred cosine
NAMED = 10  # of the recent items: those that a reason may name
KINDS: Sequence[ReasonKind] = get_args(ReasonKind)
_TOGETHER, _SIMILAR, _FOLLOWS, _TRENDING, _NEW, _AGAIN = range(len(KINDS))
KIND_OF: Mapping[str, ReasonKind] = {
    "together": "clicked_together",
    "with_last": "clicked_together",
    "lately": "clicked_together",
    "after": "clicked_together",
    "follows": "follows",
    "bridge": "similar_to",
    "like_profile": "similar_to",
    "like_last": "similar_to",
    "like_interest": "similar_to",
    "popular_hour": "trending",
    "popular_day": "trending",
    "popular_week": "trending",
    "popular_months": "trending",
    "never_clicked": "new",
    "again": "again",
    "had_before": "again",
}
_KIND_OF = np.array([KINDS.index(KIND_OF[name]) if name in KIND_OF else -1 for name in FEATURES])
_BUCKETS = 1_024
NOBODY, ANYBODY = -2, -1  # in place of a row: the reason does not hold; it holds and speaks of no other item


class Why(NamedTuple):
    """The reasons of some items one after the other, of each at most MOST, strongest first."""

    kinds: NDArray[np.int64]  # places in KINDS
    witnesses: NDArray[np.int64]  # rows that they speak of, below zero where of none
    parts: NDArray[np.float64]  # of all that speaks for the item
    bounds: NDArray[np.int64]  # where each item's begin, and where the last one's end


def reasons(why: Why, ids: Sequence[str]) -> list[tuple[Reason, ...]]:
    """The same in words; `ids` by row."""
    kinds = [KINDS[kind] for kind in why.kinds.tolist()]
    witnesses = [None if row < 0 else ids[row] for row in why.witnesses.tolist()]
    told = list(map(Reason, kinds, witnesses, why.parts.tolist()))
    return [tuple(told[start:end]) for start, end in pairwise(why.bounds.tolist())]


@compiled
def why_of(
    stock: Stock, recent: Rows, rows: Rows, origins: NDArray[np.int32], had: NDArray[np.bool_], shares: Features
) -> Why:
    """The reasons that hold for each of these rows.

    `origins` are the bits of the parts that have each among their best, `had` says whether this user had it, `shares`
    what features add to its score.
    """
    witnesses = np.full((len(rows), len(KINDS)), NOBODY)
    for at in range(len(rows)):
        if origins[at] & TRENDING:
            witnesses[at, _TRENDING] = ANYBODY
        if stock.traits.clicks[rows[at]] == 0:
            witnesses[at, _NEW] = ANYBODY
        if had[at]:
            witnesses[at, _AGAIN] = ANYBODY
    if len(recent):
        _find_pairs(stock.pairs, recent[:NAMED], rows, witnesses)
        _find_alike(stock.traits, stock.mean, recent[:NAMED], rows, witnesses)
    return _picked(shares, witnesses)


@compiled
def _picked(shares: Features, witnesses: NDArray[np.int64]) -> Why:
    """For each line the kinds that hold and their parts of all gains, the greatest first, and none too small."""
    kinds, named = np.empty((2, MOST * len(shares)), np.int64)
    parts, bounds, used = np.empty(MOST * len(shares)), np.zeros(len(shares) + 1, np.int64), 0
    gains = np.empty(witnesses.shape[1], np.float64)
    for at in range(len(shares)):
        gains[:] = 0.0
        for feature in range(len(_KIND_OF)):
            if _KIND_OF[feature] >= 0:
                gains[_KIND_OF[feature]] += max(shares[at, feature], np.float32(0.0))
        total = max(gains.sum(), 1e-12)
        for _ in range(MOST):
            best = -1
            for kind in range(len(gains)):
                holds = witnesses[at, kind] != NOBODY and gains[kind] >= LEAST_SHARE * total
                if holds and (best < 0 or gains[kind] > gains[best]):
                    best = kind
            if best >= 0:
                kinds[used], named[used], parts[used] = best, witnesses[at, best], gains[best] / total
                gains[best] = -1.0
                used += 1
        bounds[at + 1] = used
    return Why(kinds[:used], named[:used], parts[:used], bounds)


@compiled
def _find_pairs(pairs: Pairs, recent: Rows, rows: Rows, witnesses: NDArray[np.int64]) -> None:
    """The recent item each candidate was clicked together with most, and the last item if it follows that."""
    strongest, together = np.zeros(len(rows), np.float32), np.empty(pairs.together.shape[1], np.float32)
    maybe = np.zeros(_BUCKETS, np.bool_)  # most neighbours are none of these: seen at a glance
    for row in rows:
        maybe[row % _BUCKETS] = True
    for voice in range(len(recent)):
        singles(pairs.together[recent[voice]], together)
        for place in range(len(together)):
            neighbour = pairs.neighbours[recent[voice], place]
            if neighbour < 0 or not maybe[neighbour % _BUCKETS]:
                continue
            weight = together[place] * pairs.rarity[recent[voice]]
            for at in range(len(rows)):
                if rows[at] == neighbour and weight > strongest[at]:
                    strongest[at] = weight
                    witnesses[at, _TOGETHER] = recent[voice]
    for follower in pairs.followers[recent[0]]:
        for at in range(len(rows)):
            if rows[at] == follower:
                witnesses[at, _FOLLOWS] = recent[0]


@compiled
def _find_alike(
    traits: Traits, mean: NDArray[np.float32], recent: Rows, rows: Rows, witnesses: NDArray[np.int64]
) -> None:
    """The recent item whose text is most like the candidate's, past what all texts of the catalogue have in common."""
    both = np.concatenate((recent, rows))
    centred = np.zeros((len(both), len(mean)), np.float32)
    for at in range(len(both)):
        if traits.has_vector[both[at]]:
            codes, step, line = traits.codes[both[at]], traits.steps[both[at]], centred[at]
            square = np.float32(1e-12)
            for component in range(len(mean)):
                line[component] = np.float32(codes[component]) * step - mean[component]
                square += line[component] * line[component]
            line /= np.sqrt(square)
    for at in range(len(rows)):
        best, line = np.float32(LEAST_ALIKE), centred[len(recent) + at]
        for voice in range(len(recent)):
            cosine, other = np.float32(0.0), centred[voice]
            for component in range(len(mean)):
                cosine += line[component] * other[component]
            if cosine > best:
                best = cosine
                witnesses[at, _SIMILAR] = recent[voice]
