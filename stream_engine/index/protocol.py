"""The port: what finds the items nearest to a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_engine.compiled import compiled
from stream_engine.vectors import Vector

SCORE_DIGITS = 6  # float32 sums in another order differ beyond this; scores equal to here are ties


class Match(NamedTuple):
    """One found item and its cosine to the query."""

    item_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Point:
    """One item as the index holds it; `vector` is a unit vector of shape (d,)."""

    item_id: str
    vector: Vector
    available: bool = True
    categories: tuple[str, ...] = ()


class Query(NamedTuple):
    """The `limit` available items nearest to `vector`, of any of `categories` (none given: all).

    Where it is `quick`, a few more of them may be missed, and scores and order are nearly right.
    """

    vector: Vector
    limit: int
    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    quick: bool = False


class Index(Protocol):
    """Vectors by item; every method raises Unavailable when the store is away."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently; visible to the next search."""

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""

    async def search(self, queries: Sequence[Query]) -> Sequence[Sequence[Match]]:
        """One list a query, best first, ties by item id, nothing for a zero vector; one round trip for all."""
        ...

    async def count(self) -> int:
        """How many items are stored, available or not."""
        ...

    async def close(self) -> None:
        """Release the connection or files; idempotent."""


class Store(Index, Protocol):
    """An index that can be (re)opened: what an adapter implements."""

    async def ensure(self) -> None:
        """Connect and create what is missing; idempotent; raises Unavailable, or BadConfiguration if refused."""

    async def optimize(self) -> None:
        """Make searches cheap again if much was written; may take long, others go on meanwhile; raises Unavailable."""


def ranked(item_ids: Sequence[str], scores: ArrayLike, limit: int) -> list[Match]:
    """The first `limit` as matches, given best first; equal scores are put in order of item id."""
    told, tied = levelled(scores)
    matches = list(map(_match, zip(item_ids, told.tolist(), strict=True)))
    if tied:
        matches.sort(key=lambda match: (-match.score, match.item_id))
    return matches[:limit]


def levelled(scores: ArrayLike) -> tuple[NDArray[np.float64], bool]:
    """Scores, given best first, as they are told, and whether any are equal.

    Scores less than a last digit apart are equal, and count as the best of them: rounding each by itself would part
    two that lie on either side of where rounding turns.
    """
    return _levelled(np.array(scores, dtype=np.float64))


@compiled
def _levelled(exact: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    told, tied, units = np.empty_like(exact), False, 10.0**SCORE_DIGITS
    for at in range(len(exact)):
        if at > 0 and exact[at - 1] - exact[at] <= 1 / units:
            told[at], tied = told[at - 1], True
        else:
            told[at] = np.rint(exact[at] * units) / units
    return told, tied


_match: Callable[[tuple[str, float]], Match] = partial(tuple.__new__, Match)  # a third of the time of `Match(..)`


def checked(vector: Vector, dimensions: int) -> Vector:
    """The vector itself, if it has the index's length."""
    if vector.shape != (dimensions,):
        raise ValueError(f"a vector of shape {vector.shape} for an index of {dimensions} dimensions")
    return vector
