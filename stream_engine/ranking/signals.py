"""How strongly items go with what a user did: co-clicks and followers, over all neighbours at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.pool import Scratch
from stream_engine.ranking.question import Question

RECENT = 20  # items of the history that speak
LATELY = 5  # of them, those whose recent pairs count
FADE = 0.8  # what an item's voice loses per item in between

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signals:
    """Strengths for `rows`, the user's recent items and all their neighbours; zero where unknown."""

    recent: Rows  # the user's known items, newest first
    rows: Rows
    together: Floats  # with the last 20
    last: Floats  # with the last one
    lately: Floats  # recent pairs with the last 5
    follows: Floats  # how often it came right after the last one, 0 to 1


def signals_of(view: ItemView, question: Question, scratch: Scratch) -> Signals:
    """Cosine-normalised co-clicks: a pair's weight over the root of both items' pair weights."""
    recent = view.rows([item_id for item_id, _ in question.recent[:RECENT]])
    columns = view.columns
    near = columns.neighbours[recent]
    held = near >= 0
    voices = np.broadcast_to(np.arange(len(recent))[:, None], near.shape)[held]
    rows, index = scratch.distinct(near[held].astype(np.int64), bound=len(view.ids))
    norm = 1.0 / np.sqrt(np.maximum(columns.pairs[rows], 1.0))
    own = 1.0 / np.sqrt(np.maximum(columns.pairs[recent], 1.0))
    together = columns.together[recent][held].astype(np.float32) * own[voices]
    lately = columns.lately[recent][held].astype(np.float32) * own[voices]

    def total(weights: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(index, weights, len(rows)).astype(np.float64)

    last = voices == 0
    follows = columns.follows[recent][held] * last
    followed = columns.followed[recent[0]] if len(recent) else 0.0
    return Signals(
        recent=recent,
        rows=rows,
        together=total(together * FADE**voices) * norm,
        last=total(together * last) * norm,
        lately=total(lately * (voices < LATELY)) * norm,
        follows=total(follows) / (followed + 3.0),
    )
