"""Why an item is in a list: the signals that carried its score, told as facts anyone can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from stream_engine.events import Reason, ReasonKind
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.candidates import TRENDING, Candidates
from stream_engine.ranking.features import FEATURES, Features
from stream_engine.ranking.sources import STRENGTHS

MOST = 2
LEAST_SHARE = 0.1
LEAST_ALIKE = 0.2  # centred cosine
NAMED = 10  # of the recent items: those that a reason may name
KINDS: Sequence[ReasonKind] = get_args(ReasonKind)
_KIND: Mapping[ReasonKind, int] = {kind: place for place, kind in enumerate(KINDS)}
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
_GROUPS = np.array([[KIND_OF.get(name) == kind for kind in KINDS] for name in FEATURES], np.float32)
_AGAIN = STRENGTHS.index("again")
NOBODY, ANYBODY = -2, -1  # in place of a row: the reason does not hold; it holds and speaks of no other item


def reasons_of(
    view: ItemView, found: Candidates, positions: Sequence[int], shares: Features
) -> list[tuple[Reason, ...]]:
    """For each candidate at most two reasons that hold, strongest first; `shares`: what features add to the score."""
    gains = np.maximum(shares, 0.0) @ _GROUPS
    gains /= np.maximum(gains.sum(axis=1, keepdims=True), 1e-12)
    witnesses = _witnesses(view, found, positions)
    gains[witnesses == NOBODY] = 0.0
    strongest = np.argsort(-gains, axis=1, kind="stable")[:, :MOST]
    ids = view.ids
    told = []
    for best, parts, named in zip(
        strongest.tolist(), gains.astype(np.float64).round(3).tolist(), witnesses.tolist(), strict=True
    ):
        told.append(
            tuple(
                [
                    Reason(KINDS[kind], None if named[kind] < 0 else ids[named[kind]], parts[kind])
                    for kind in best
                    if parts[kind] >= LEAST_SHARE
                ]
            )
        )
    return told


def _witnesses(view: ItemView, found: Candidates, positions: Sequence[int]) -> NDArray[np.int64]:
    """The row of the user's item that a reason speaks of, shape (candidates, kinds)."""
    columns, taste, rows = view.columns, found.taste, found.rows[positions]
    recent = taste.recent[:NAMED]
    clicked = columns.clicks[rows] > 0
    witnesses = np.full((len(rows), len(KINDS)), NOBODY)
    witnesses[found.parts[positions] & TRENDING > 0, _KIND["trending"]] = ANYBODY
    witnesses[~clicked, _KIND["new"]] = ANYBODY
    witnesses[found.strengths[positions, _AGAIN] > 0, _KIND["again"]] = ANYBODY
    if len(recent) and len(rows):
        witnesses[:, _KIND["clicked_together"]] = _strongest(recent, _pair_weights(view, recent, rows), 0.0)
        witnesses[:, _KIND["similar_to"]] = _strongest(recent, _cosines(view, recent, rows), LEAST_ALIKE)
        follows = (rows[:, None] == columns.followers[recent[0]]).any(axis=1)
        witnesses[follows, _KIND["follows"]] = recent[0]
    return witnesses


def _pair_weights(view: ItemView, recent: Rows, rows: Rows) -> NDArray[np.float32]:
    """How often each candidate was clicked together with each recent item, shape (recent, candidates)."""
    columns = view.columns
    near = columns.neighbours[recent]
    candidate, place = divmod(np.flatnonzero(rows.astype(near.dtype)[:, None] == near.ravel()), near.size)
    voice = place // near.shape[1]
    weights = np.zeros((len(recent), len(rows)), np.float32)
    weights[voice, candidate] = columns.together[recent].ravel()[place] * columns.rarity[recent[voice]]
    return weights


def _cosines(view: ItemView, recent: Rows, rows: Rows) -> NDArray[np.float32]:
    """How alike the texts are, past what all texts of the catalogue have in common, shape (recent, candidates)."""
    both = np.concatenate([recent, rows])
    centred = view.vectors(both) - view.space.mean
    centred *= view.columns.has_vector[both, None]
    centred /= np.sqrt(np.einsum("ij,ij->i", centred, centred) + 1e-12)[:, None]
    cosines: NDArray[np.float32] = centred[: len(recent)] @ centred[len(recent) :].T
    return cosines


def _strongest(recent: Rows, weights: NDArray[np.float32], least: float) -> NDArray[np.int64]:
    """Of each column of (recent, candidates) the recent row with the greatest weight above the least."""
    best = weights.argmax(axis=0)
    return np.where(weights[best, np.arange(len(best))] > least, recent[best], NOBODY)
