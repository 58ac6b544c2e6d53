"""How good lists are: from the place of the clicked item in each, None where it was not in the list.

HR@k = share of lists with the item among the first k; NDCG@k = mean of 1 / log2(place + 1), places from 1, 0 beyond k;
MRR@k = mean of 1 / place, 0 beyond k. With one right answer a list, recall is HR and the ideal DCG is 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Place = int | None  # from 1
CUTS = (10, 20)


def hit_rate(places: Sequence[Place], k: int) -> float:
    """Share of places within the first k; 0 for no lists."""
    return _mean(float(place is not None and place <= k) for place in places)


def ndcg(places: Sequence[Place], k: int) -> float:
    """Normalised discounted cumulative gain; 0 for no lists."""
    return _mean(0.0 if place is None or place > k else 1.0 / math.log2(place + 1) for place in places)


def mrr(places: Sequence[Place], k: int) -> float:
    """Mean reciprocal rank; 0 for no lists."""
    return _mean(0.0 if place is None or place > k else 1.0 / place for place in places)


def summary(places: Sequence[Place], cuts: Sequence[int] = CUTS) -> dict[str, float]:
    """`hr@k`, `ndcg@k`, `mrr@k` for each k."""
    kinds = {"hr": hit_rate, "ndcg": ndcg, "mrr": mrr}
    return {f"{name}@{k}": round(kind(places, k), 6) for k in cuts for name, kind in kinds.items()}


def place_of(item_id: str, ranked: Sequence[str]) -> Place:
    """Where the item stands in a list, from 1."""
    return ranked.index(item_id) + 1 if item_id in ranked else None


def _mean(values: Iterable[float]) -> float:
    each = list(values)
    return sum(each) / len(each) if each else 0.0
