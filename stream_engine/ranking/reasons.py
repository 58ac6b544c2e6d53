"""Why an item is in a list: the signals that carried its score, told as facts anyone can check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.events import Reason, ReasonKind
from stream_engine.items.view import ItemView
from stream_engine.ranking.features import FEATURES
from stream_engine.ranking.taste import VOICES, Taste

MOST = 2
LEAST_SHARE = 0.1
KINDS: Mapping[str, ReasonKind] = {
    "together": "clicked_together",
    "with_last": "clicked_together",
    "lately": "clicked_together",
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


def reasons_of(view: ItemView, taste: Taste, row: int, shares: NDArray[np.float32]) -> tuple[Reason, ...]:
    """At most two reasons that hold, strongest first; `shares` is what each feature adds to the score."""
    gains: dict[ReasonKind, float] = {}
    for name, share in zip(FEATURES, shares.tolist(), strict=True):
        if share > 0 and name in KINDS:
            gains[KINDS[name]] = gains.get(KINDS[name], 0.0) + share
    total = sum(gains.values())
    told: list[Reason] = []
    for kind in sorted(gains, key=lambda kind: (-gains[kind], kind)):
        share = gains[kind] / total
        if len(told) == MOST or share < LEAST_SHARE:
            break
        holds, about = _evidence(kind, view, taste, row)
        if holds:
            told.append(Reason(kind, about, round(share, 3)))
    return tuple(told)


def _evidence(kind: ReasonKind, view: ItemView, taste: Taste, row: int) -> tuple[bool, str | None]:
    """Whether the reason is true of this user and item, and the user's item it speaks of."""
    columns, recent = view.columns, taste.recent[:VOICES]
    if kind == "trending":
        return bool(columns.clicks[row] > 0), None
    if kind == "new":
        return bool(columns.clicks[row] == 0), None
    if kind == "again":
        return bool((taste.recent == row).any()), None
    if not len(recent):
        return False, None
    if kind == "follows":
        return bool((columns.followers[recent[0]] == row).any()), view.ids[int(recent[0])]
    if kind == "clicked_together":
        weights = (columns.together[recent] * (columns.neighbours[recent] == row)).sum(axis=1) * columns.rarity[recent]
    else:
        weights = (view.vectors(recent) - view.space.mean) @ (view.vectors(np.array([row])) - view.space.mean)[0]
        weights = weights * columns.has_vector[recent] * columns.has_vector[row]
    place = int(np.argmax(weights))
    return bool(weights[place] > 0), view.ids[int(recent[place])]
