"""Why an item is in a list: the signals that carried its score, told as facts anyone can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.events import Reason, ReasonKind
from stream_engine.items.columns import Pairs, Traits
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.candidates import TRENDING, Candidates
from stream_engine.ranking.features import FEATURES, Features
from stream_engine.ranking.pool import STRENGTHS

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
_HAD = STRENGTHS.index("again")
_BUCKETS = 1_024
NOBODY, ANYBODY = -2, -1  # in place of a row: the reason does not hold; it holds and speaks of no other item


def reasons_of(
    view: ItemView, found: Candidates, positions: Sequence[int], shares: Features
) -> list[tuple[Reason, ...]]:
    """For each candidate at most two reasons that hold, strongest first; `shares`: what features add to the score."""
    witnesses = _witnesses(view, found, positions)
    kinds = np.full((len(witnesses), MOST), -1)
    parts = np.zeros((len(witnesses), MOST))
    _pick(shares, _KIND_OF, witnesses, kinds, parts)
    ids = view.ids
    return [
        tuple(
            [
                Reason(KINDS[kind], None if named[kind] < 0 else ids[named[kind]], round(part, 3))
                for kind, part in zip(best, told, strict=True)
                if kind >= 0
            ]
        )
        for best, told, named in zip(kinds.tolist(), parts.tolist(), witnesses.tolist(), strict=True)
    ]


@compiled
def _pick(
    shares: Features,
    kind_of: NDArray[np.int64],
    witnesses: NDArray[np.int64],
    kinds: NDArray[np.int64],
    parts: NDArray[np.float64],
) -> None:
    """For each line the kinds that hold and their parts of all gains, the greatest first, and none too small."""
    gains = np.empty(witnesses.shape[1], np.float64)
    for at in range(len(shares)):
        gains[:] = 0.0
        for feature in range(len(kind_of)):
            if kind_of[feature] >= 0:
                gains[kind_of[feature]] += max(shares[at, feature], np.float32(0.0))
        total = max(gains.sum(), 1e-12)
        for place in range(kinds.shape[1]):
            best = -1
            for kind in range(len(gains)):
                holds = witnesses[at, kind] != NOBODY and gains[kind] >= LEAST_SHARE * total
                if holds and (best < 0 or gains[kind] > gains[best]):
                    best = kind
            if best >= 0:
                kinds[at, place], parts[at, place] = best, gains[best] / total
                gains[best] = -1.0


def _witnesses(view: ItemView, found: Candidates, positions: Sequence[int]) -> NDArray[np.int64]:
    """The row of the user's item that a reason speaks of, shape (candidates, kinds)."""
    columns, recent, rows = view.columns, found.taste.recent[:NAMED], found.rows[positions]
    witnesses = np.full((len(rows), len(KINDS)), NOBODY)
    witnesses[found.parts[positions] & TRENDING > 0, _TRENDING] = ANYBODY
    witnesses[columns.clicks[rows] == 0, _NEW] = ANYBODY
    witnesses[found.strengths[positions, _HAD] > 0, _AGAIN] = ANYBODY
    if len(recent) and len(rows):
        _find_pairs(columns.pairs, columns.together[recent].astype(np.float32), recent, rows, witnesses)
        _find_alike(columns.traits, view.space.mean, recent, rows, witnesses)
    return witnesses


@compiled
def _find_pairs(
    pairs: Pairs, together: NDArray[np.float32], recent: Rows, rows: Rows, witnesses: NDArray[np.int64]
) -> None:
    """The recent item each candidate was clicked together with most, and the last item if it follows that."""
    strongest = np.zeros(len(rows), np.float32)
    maybe = np.zeros(_BUCKETS, np.bool_)  # most neighbours are none of these: seen at a glance
    for row in rows:
        maybe[row % _BUCKETS] = True
    for voice in range(len(recent)):
        for place in range(together.shape[1]):
            neighbour = pairs.neighbours[recent[voice], place]
            if neighbour < 0 or not maybe[neighbour % _BUCKETS]:
                continue
            weight = together[voice, place] * pairs.rarity[recent[voice]]
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
            square = np.float32(1e-12)
            for component in range(len(mean)):
                value = np.float32(traits.codes[both[at], component]) * traits.steps[both[at]] - mean[component]
                centred[at, component] = value
                square += value * value
            centred[at] /= np.sqrt(square)
    for at in range(len(rows)):
        best = np.float32(LEAST_ALIKE)
        for voice in range(len(recent)):
            cosine = np.float32(0.0)
            for component in range(len(mean)):
                cosine += centred[voice, component] * centred[len(recent) + at, component]
            if cosine > best:
                best = cosine
                witnesses[at, _SIMILAR] = recent[voice]
