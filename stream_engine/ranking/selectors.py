"""Which of the scored candidates make the list, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def diverse(scores: NDArray[np.float32], vectors: NDArray[np.float32], *, size: int, diversity: float) -> list[int]:
    """Maximal marginal relevance: positions of the chosen, best first; diversity 0 is the plain order.

    Each choice maximises (1 - diversity) * score - diversity * greatest cosine to those chosen before, scores
    scaled to 0..1. Carbonell & Goldstein, SIGIR 1998.
    """
    count = min(size, len(scores))
    order = np.argsort(-scores, kind="stable")
    if diversity == 0 or count < 2:
        return [int(position) for position in order[:count]]
    pool = order[: 3 * size]
    span = float(scores[pool[0]] - scores[pool[-1]]) or 1.0
    worth = (1 - diversity) * (scores[pool] - scores[pool[-1]]) / span
    alike = vectors[pool] @ vectors[pool].T
    nearest = np.zeros(len(pool), np.float32)
    chosen: list[int] = []
    for _ in range(count):
        pick = int(np.argmax(worth - diversity * nearest))
        chosen.append(pick)
        worth[pick] = -np.inf
        np.maximum(nearest, alike[pick], out=nearest)
    return [int(position) for position in pool[chosen]]
