"""Exact search in memory: one matrix, one product for all queries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import SCORE_DIGITS, Match, Point, Query, checked, ranked
from stream_engine.vectors import Matrix

INLINE_SCORES = 60_000  # more than about a millisecond of scores is computed off the event loop


class MemoryIndex:
    """Exact cosine over all available items; unavailable ones are only counted, so they cost a search nothing."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._vectors: Matrix = np.zeros((0, dimensions), dtype=np.float32)  # the first len(_ids) rows are in use
        self._ids: list[str] = []
        self._categories: list[tuple[str, ...]] = []
        self._rows: dict[str, int] = {}
        self._members: dict[str, set[int]] = {}
        self._unavailable: set[str] = set()
        self._lock = asyncio.Lock()

    async def ensure(self) -> None:
        """Always ready."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently."""
        vectors = [checked(point.vector, self._dimensions) for point in points]
        async with self._lock:
            for point, vector in zip(points, vectors, strict=True):
                self._remove(point.item_id)
                if not point.available:
                    self._unavailable.add(point.item_id)
                    continue
                row = self._append(point.item_id, tuple(dict.fromkeys(point.categories)))
                self._vectors[row] = vector

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""
        async with self._lock:
            for item_id in item_ids:
                self._remove(item_id)

    async def search(self, queries: Sequence[Query]) -> list[list[Match]]:
        """One list a query, best first, ties by item id."""
        for query in queries:
            checked(query.vector, self._dimensions)
        async with self._lock:
            if len(queries) * len(self._ids) <= INLINE_SCORES:
                return self._search(queries)
            return await asyncio.to_thread(self._search, queries)

    async def count(self) -> int:
        """How many items are stored."""
        return len(self._ids) + len(self._unavailable)

    async def close(self) -> None:
        """Nothing to release."""

    def _append(self, item_id: str, categories: tuple[str, ...]) -> int:
        row = len(self._ids)
        if row == len(self._vectors):
            grown = np.zeros((max(1024, row * 3 // 2), self._dimensions), dtype=np.float32)
            grown[:row] = self._vectors
            self._vectors = grown
        self._ids.append(item_id)
        self._categories.append(categories)
        self._rows[item_id] = row
        for category in categories:
            self._members.setdefault(category, set()).add(row)
        return row

    def _remove(self, item_id: str) -> None:
        """The last row takes the place of the removed one, so rows stay contiguous."""
        self._unavailable.discard(item_id)
        row = self._rows.pop(item_id, None)
        if row is None:
            return
        self._leave(row)
        last = len(self._ids) - 1
        last_id, last_categories = self._ids.pop(), self._categories.pop()
        if row == last:
            return
        for category in last_categories:
            self._members[category].remove(last)
            self._members[category].add(row)
        self._ids[row], self._categories[row], self._rows[last_id] = last_id, last_categories, row
        self._vectors[row] = self._vectors[last]

    def _leave(self, row: int) -> None:
        for category in self._categories[row]:
            members = self._members[category]
            members.remove(row)
            if not members:
                del self._members[category]

    def _search(self, queries: Sequence[Query]) -> list[list[Match]]:
        if not queries or not self._ids:
            return [[] for _ in queries]
        scores = _scores(self._vectors[: len(self._ids)], np.stack([query.vector for query in queries]))
        return [self._best(query, row) for query, row in zip(queries, scores, strict=True)]

    def _best(self, query: Query, scores: NDArray[np.float32]) -> list[Match]:
        if query.limit < 1 or not query.vector.any():
            return []
        excluded = [row for item_id in query.exclude if (row := self._rows.get(item_id)) is not None]
        scores[excluded] = -np.inf
        rows = self._of_categories(query.categories) if query.categories else None
        found = _highest(scores if rows is None else scores[rows], query.limit)
        if rows is not None:
            found = rows[found]
        best = found[np.argsort(-scores[found])]
        return ranked([self._ids[row] for row in best.tolist()], scores[best], query.limit)

    def _of_categories(self, categories: Sequence[str]) -> NDArray[np.intp]:
        rows = set().union(*(self._members.get(category, ()) for category in categories))
        return np.fromiter(rows, dtype=np.intp, count=len(rows))


def _scores(vectors: Matrix, queries: Matrix) -> Matrix:
    """Cosines of unit rows, shape (queries, vectors), in blocks that stay in the cache."""
    count = len(queries)
    if count > 1:  # four at a time and small blocks for few queries: measured twice as fast with OpenBLAS
        queries = np.pad(queries, ((0, -count % 4), (0, 0)))
    size = 256 if count <= 4 else 1024
    scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
    columns = queries.T
    for start in range(0, len(vectors), size):
        scores[:, start : start + size] = (vectors[start : start + size] @ columns).T
    return scores[:count]


def _highest(scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Positions of the `limit` highest scores and of all that tie with the last; never of an excluded one."""
    lowest = -2.0  # below any cosine, above what is excluded
    if limit < len(scores):
        kth = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        lowest = max(lowest, float(kth) - 10.0**-SCORE_DIGITS)
    return np.flatnonzero(scores >= lowest)
