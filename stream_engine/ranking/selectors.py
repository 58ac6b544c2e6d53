"""Which of the scored candidates make the list, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled

Positions = NDArray[np.int64]
Scores = NDArray[np.float32]
POOL = 2  # times the list's size: as far down as a more varied item may come from


@compiled
def highest(scores: Scores, count: int) -> Positions:
    """Where the highest scores are, best first, ties in order of position."""
    best, used = np.empty(min(count, len(scores)), np.int64), 0
    for at in range(len(scores)):
        if used == len(best) and (used == 0 or not scores[at] > scores[best[-1]]):
            continue
        place = min(used, len(best) - 1)
        while place > 0 and scores[best[place - 1]] < scores[at]:
            best[place] = best[place - 1]
            place -= 1
        best[place] = at
        used = min(used + 1, len(best))
    return best


@compiled
def diverse(scores: Scores, vectors: NDArray[np.float32], count: int, diversity: float) -> Positions:
    """Maximal marginal relevance: positions of the chosen, best first; the scores are given best first.

    Each choice maximises (1 - diversity) * score - diversity * greatest cosine to those chosen before, the scores
    scaled to 0..1. Carbonell & Goldstein, SIGIR 1998.
    """
    span = scores[0] - scores[-1] if scores[0] > scores[-1] else np.float32(1.0)
    worth = np.float32(1.0 - diversity) * (scores - scores[-1]) / span
    penalty, chosen = np.zeros(len(worth), np.float32), np.empty(count, np.int64)
    for place in range(count):
        best = -1
        for at in range(len(worth)):
            free = penalty[at] < np.inf
            if free and (best < 0 or worth[at] - penalty[at] > worth[best] - penalty[best]):
                best = at
        chosen[place] = best
        penalty[best] = np.inf
        for at in range(len(worth)):
            if penalty[at] < np.inf:
                alike = np.float32(0.0)
                for component in range(vectors.shape[1]):
                    alike += vectors[best, component] * vectors[at, component]
                penalty[at] = max(penalty[at], np.float32(diversity) * alike)
    return chosen


@compiled
def explored(chosen: Positions, scores: Scores, fresh: NDArray[np.bool_], place: int) -> Positions:
    """The list with the best of the `fresh` at this place, from 1, if none stands there or before; 0: as it is."""
    best = -1
    for at in range(len(scores)):
        if fresh[at] and (best < 0 or scores[at] > scores[best]):
            best = at
    if place == 0 or best < 0 or fresh[chosen[:place]].any():
        return chosen
    others = chosen[chosen != best]
    return np.concatenate((others[: place - 1], np.array([best]), others[place - 1 :]))[: len(chosen)]
