"""What the ranker sees of a candidate: every number means the same in a small and in a large catalogue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.question import Question
from stream_engine.ranking.signals import Signals

FEATURES = (
    "popularity_fast",
    "popularity_slow",
    "together",
    "last",
    "lately",
    "follows",
    "similar_last",
    "similar",
    "never_clicked",
    "had",
)
Features = NDArray[np.float32]  # (n, len(FEATURES))


def features_of(view: ItemView, question: Question, signals: Signals, rows: Rows) -> Features:
    """One line a candidate, in the order of FEATURES."""
    columns = view.columns
    table = np.zeros((len(rows), len(FEATURES)), np.float32)
    ages = np.maximum(question.now - columns.updated[rows], 0.0)[:, None]
    popular = columns.popularity[rows] * np.exp2(-ages / np.array(view.settings.half_lives))
    table[:, 0:2] = np.log1p(popular[:, [0, -1]])
    place = {row: position for position, row in enumerate(signals.rows.tolist())}
    where = np.array([place.get(row, -1) for row in rows.tolist()], np.int64)
    for column, strengths in enumerate((signals.together, signals.last, signals.lately, signals.follows), start=2):
        table[:, column] = np.append(strengths, 0.0)[where]
    vectors = columns.vectors[rows].astype(np.float32)
    if len(signals.recent):
        table[:, 6] = vectors @ columns.vectors[signals.recent[0]].astype(np.float32)
    if question.interests.size:
        table[:, 7] = (vectors @ question.interests.T).max(axis=1)
    table[:, 8] = columns.clicks[rows] == 0
    table[:, 9] = np.isin(rows, signals.recent)
    return table
