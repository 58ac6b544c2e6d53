"""The space in which texts are compared: centred on the catalogue's mean and half-whitened.

Encoders put all texts of a catalogue into a narrow cone, spread along a few axes; taking out the mean and half of each
axis' spread makes cosines tell items apart (Mu & Viswanath, ICLR 2018; Su et al., 2021). No vector is stored twice:
with W the whitening, cos(W(x - m), W(y - m)) is a plain product of y with a probe made from x, but for y's norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_engine.vectors import Matrix, Vector, unit

_CAUTION = 0.1
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class TextSpace:
    """A mean of shape (d,) and the metric W'W of shape (d, d)."""

    mean: Vector
    metric: Matrix

    def norms(self, vectors: Matrix) -> NDArray[np.float32]:
        """Length of each row in this space; 1 for a row of zeros, which is near to nothing."""
        centred = vectors - self.mean
        squares = np.einsum("ij,ij->i", centred @ self.metric, centred)
        lengths: NDArray[np.float32] = np.sqrt(np.maximum(squares, 1e-12), dtype=np.float32)
        return np.where(vectors.any(axis=1), lengths, np.float32(1))

    def probes(self, centred: Matrix) -> Matrix:
        """Probes p for sums of centred vectors, so that (y - mean) @ p / norm(y) is the cosine in this space."""
        raw = centred @ self.metric
        lengths = np.sqrt(np.maximum(np.einsum("ij,ij->i", raw, centred), 1e-12))
        probes: Matrix = raw / lengths[:, None]
        return probes


def plain(dimensions: int) -> TextSpace:
    """Cosines as they are, for as long as there is no catalogue to fit."""
    return TextSpace(np.zeros(dimensions, np.float32), np.eye(dimensions, dtype=np.float32))


def fitted(vectors: Matrix) -> TextSpace:
    """The space of these unit vectors: W scales each axis by its variance to the power -1/4."""
    rows = unit(vectors)
    mean = rows.mean(axis=0)
    centred = rows - mean
    spread, axes = np.linalg.eigh(centred.T @ centred / np.float32(len(rows)))
    # few texts say little about narrow axes: the fewer, the less those are blown up
    spread = np.maximum(spread, 0) + spread.mean() * (_CAUTION * len(mean) / len(rows)) + _FLOOR
    metric = (axes / np.sqrt(spread)) @ axes.T
    return TextSpace(mean, metric.astype(np.float32))
