"""Why an item is in a list: the signals that carried its score, told as facts anyone can check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.events import Reason, ReasonKind
from stream_engine.items.view import ItemView
from stream_engine.ranking.features import FEATURES
from stream_engine.ranking.signals import Signals

MOST = 2
LEAST_SHARE = 0.1
KINDS: Mapping[str, ReasonKind] = {
    "popularity_fast": "trending",
    "popularity_slow": "trending",
    "together": "clicked_together",
    "last": "clicked_together",
    "lately": "clicked_together",
    "follows": "follows",
    "similar_last": "similar_to",
    "similar": "similar_to",
    "never_clicked": "new",
    "had": "again",
}


def reasons_of(view: ItemView, signals: Signals, row: int, shares: NDArray[np.float32]) -> tuple[Reason, ...]:
    """At most two reasons, strongest first; `shares` is what each feature adds to the score."""
    gains: dict[ReasonKind, float] = {}
    for name, share in zip(FEATURES, shares.tolist(), strict=True):
        gains[KINDS[name]] = gains.get(KINDS[name], 0.0) + max(share, 0.0)
    total = sum(gains.values())
    ranked = sorted(gains.items(), key=lambda gain: -gain[1])[:MOST]
    told = [(kind, gain / total) for kind, gain in ranked if total > 0 and gain / total >= LEAST_SHARE]
    return tuple(Reason(kind, _about(kind, view, signals, row), round(share, 3)) for kind, share in told)


def _about(kind: ReasonKind, view: ItemView, signals: Signals, row: int) -> str | None:
    """The item of the user's own history that a reason speaks of."""
    columns, recent = view.columns, signals.recent
    if kind in {"trending", "new", "again"} or not len(recent):
        return None
    if kind == "follows":
        place = 0
    elif kind == "similar_to":
        cosines = columns.vectors[recent].astype(np.float32) @ columns.vectors[row].astype(np.float32)
        place = int(np.argmax(cosines))
    else:
        weights = columns.together[recent] * (columns.neighbours[recent] == row)
        place = int(np.argmax(weights.sum(axis=1)))
    return view.ids[int(recent[place])]
