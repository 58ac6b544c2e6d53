"""Vectors: norms and cosines, with rules for zero and NaN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]  # (d,)
Matrix = NDArray[np.float32]  # (n, d)


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each row (last axis) at length 1; a zero or non-finite row becomes zeros, never NaN."""
    clean = np.asarray(rows, dtype=np.float32)
    clean = np.where(np.isfinite(clean).all(axis=-1, keepdims=True), clean, np.float32(0))
    norms = np.linalg.norm(clean, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(clean, norms, out=np.zeros_like(clean), where=norms > 1e-12)
    return scaled
