"""The score of a candidate: a weighted sum of its features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.ranking.features import FEATURES, Features

START: Mapping[str, float] = {
    "popularity_fast": 0.2,
    "popularity_slow": 0.1,
    "together": 2.0,
    "last": 1.0,
    "lately": 1.0,
    "follows": 2.0,
    "similar_last": 0.5,
    "similar": 1.0,
    "never_clicked": 0.0,
    "had": -0.5,
}


class Ranker:
    """Scores candidates; starts with weights that work without any data."""

    def __init__(self) -> None:
        self.weights = np.array([START[name] for name in FEATURES], np.float32)

    @property
    def version(self) -> str:
        """Names the kind of ranker, for the lists it makes."""
        return "linear-1"

    def scores(self, table: Features) -> NDArray[np.float32]:
        """One score a line."""
        return table @ self.weights

    def shares(self, table: Features) -> Features:
        """What each feature adds to the score, same shape."""
        return table * self.weights

    def snapshot(self) -> bytes:
        """The learnt weights, versioned."""
        return b"\x01" + self.weights.astype("<f4").tobytes()

    def merge(self, snapshots: Mapping[str, bytes]) -> None:
        """Take in what other workers learnt; those that do not fit are ignored."""
        fitting = [data for data in snapshots.values() if data[:1] == b"\x01" and len(data) == 1 + self.weights.nbytes]
        learnt = [np.frombuffer(data[1:], "<f4") for data in fitting]
        if learnt:
            self.weights = np.mean(learnt, axis=0, dtype=np.float32)
