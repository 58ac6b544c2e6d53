"""Why an item is in a list: the signals that carried its score, told as facts anyone can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from stream_engine.events import Reason, ReasonKind
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.features import FEATURES, Features
from stream_engine.ranking.taste import Taste

MOST = 2
LEAST_SHARE = 0.1
NAMED = 10  # of the recent items: those that a reason may name
KINDS: Sequence[ReasonKind] = get_args(ReasonKind)
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
}
_GROUPS = np.array([[KIND_OF.get(name) == kind for kind in KINDS] for name in FEATURES], np.float32)


def reasons_of(view: ItemView, taste: Taste, rows: Rows, shares: Features) -> list[tuple[Reason, ...]]:
    """For each row at most two reasons that hold, strongest first; `shares`: what each feature adds to the score."""
    gains = np.maximum(shares, 0.0) @ _GROUPS
    totals = np.maximum(gains.sum(axis=1, keepdims=True), 1e-12)
    witnesses = _witnesses(view, taste, rows)
    holding = np.stack([witnesses[kind] > NOBODY for kind in KINDS], axis=1)
    portions = np.where(holding, gains / totals, 0.0)
    strongest = np.argsort(-portions, axis=1, kind="stable")[:, :MOST]
    told = []
    for line, best in enumerate(strongest.tolist()):
        chosen = [(KINDS[kind], float(portions[line, kind])) for kind in best if portions[line, kind] >= LEAST_SHARE]
        told.append(
            tuple(Reason(kind, _name(view, int(witnesses[kind][line])), round(part, 3)) for kind, part in chosen)
        )
    return told


NOBODY, ANYBODY = -2, -1  # in place of a row: the reason does not hold; it holds and speaks of no other item


def _witnesses(view: ItemView, taste: Taste, rows: Rows) -> Mapping[ReasonKind, NDArray[np.signedinteger]]:
    """For each kind of reason the row of the user's item that it speaks of, by candidate."""
    columns, recent = view.columns, taste.recent[:NAMED]
    clicked = columns.clicks[rows] > 0

    def stated(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.where(holds, ANYBODY, NOBODY)

    witnesses: dict[ReasonKind, NDArray[np.signedinteger]] = {
        "trending": stated(clicked),
        "new": stated(~clicked),
        "again": stated((rows[:, None] == taste.had).any(axis=1)),
    }
    none = np.full(len(rows), NOBODY)
    if not len(recent) or not len(rows):
        return {**witnesses, "follows": none, "similar_to": none, "clicked_together": none}
    pairs = _pair_weights(view, recent, rows)
    mean = view.space.mean
    alike = (view.vectors(recent) - mean) @ (view.vectors(rows) - mean).T
    alike *= columns.has_vector[recent, None] * columns.has_vector[rows]
    follows = (rows[:, None] == columns.followers[recent[0]]).any(axis=1)
    return {
        **witnesses,
        "clicked_together": _strongest(recent, pairs),
        "similar_to": _strongest(recent, alike),
        "follows": np.where(follows, recent[0], NOBODY),
    }


def _pair_weights(view: ItemView, recent: Rows, rows: Rows) -> NDArray[np.float32]:
    """How often each candidate was clicked together with each recent item, shape (recent, candidates)."""
    columns = view.columns
    near = columns.neighbours[recent]
    candidate, place = divmod(np.flatnonzero(rows[:, None] == near.ravel()), near.size)
    voice = place // near.shape[1]
    weights = np.zeros((len(recent), len(rows)), np.float32)
    weights[voice, candidate] = columns.together[recent].ravel()[place] * columns.rarity[recent[voice]]
    return weights


def _strongest(recent: Rows, weights: NDArray[np.floating]) -> NDArray[np.signedinteger]:
    """Of each column of (recent, candidates) the recent row with the greatest positive weight."""
    best = weights.argmax(axis=0)
    held = np.take_along_axis(weights, best[None], axis=0)[0] > 0
    return np.where(held, recent[best], NOBODY)


def _name(view: ItemView, row: int) -> str | None:
    return None if row < 0 else view.ids[row]
