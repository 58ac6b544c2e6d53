"""Which of the scored candidates make the list, and in which order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled

Positions = NDArray[np.int64]
POOL = 2  # times the list's size: as far down as a more varied item may come from


def diverse(
    scores: NDArray[np.float32], vectors: Callable[[Positions], NDArray[np.float32]], *, size: int, diversity: float
) -> list[int]:
    """Maximal marginal relevance: positions of the chosen, best first; diversity 0 is the plain order.

    Each choice maximises (1 - diversity) * score - diversity * greatest cosine to those chosen before, the scores
    scaled to 0..1. Carbonell & Goldstein, SIGIR 1998.
    """
    count = min(size, len(scores))
    pool = _highest(scores, count if diversity == 0 else POOL * size)
    if diversity == 0 or count < 2:
        return [int(position) for position in pool[:count]]
    span = float(scores[pool[0]] - scores[pool[-1]]) or 1.0
    worth = (1 - diversity) * (scores[pool] - scores[pool[-1]]) / span
    rows = vectors(pool)
    chosen: list[int] = pool[_greedy(worth, np.float32(diversity) * (rows @ rows.T), count)].tolist()
    return chosen


def _highest(scores: NDArray[np.float32], count: int) -> Positions:
    """Where the highest scores are, best first, ties in order of position."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    reached = np.flatnonzero(scores >= least)
    return reached[np.argsort(-scores[reached], kind="stable")[:count]]


@compiled
def _greedy(worth: NDArray[np.float32], alike: NDArray[np.float32], count: int) -> Positions:
    """One after the other what is worth most, less how alike it is to the most alike of those before."""
    penalty = np.zeros(len(worth), np.float32)
    chosen = np.empty(count, np.int64)
    for place in range(count):
        best = -1
        for at in range(len(worth)):
            free = penalty[at] < np.inf
            if free and (best < 0 or worth[at] - penalty[at] > worth[best] - penalty[best]):
                best = at
        chosen[place] = best
        for at in range(len(worth)):
            penalty[at] = max(penalty[at], alike[best, at])
        penalty[best] = np.inf
    return chosen


def explored(chosen: list[int], scores: NDArray[np.float32], fresh: NDArray[np.bool_], *, place: int) -> list[int]:
    """The list with the best of the `fresh` at this place, from 1, if none stands there or before; 0: as it is."""
    candidates = np.flatnonzero(fresh)
    if not place or not len(candidates) or fresh[chosen[:place]].any():
        return chosen
    best = int(candidates[scores[candidates].argmax()])
    others = [position for position in chosen if position != best]
    return [*others[: place - 1], best, *others[place - 1 :]][: len(chosen)]
