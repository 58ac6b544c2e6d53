"""Search in memory: one matrix, one product for all queries; in a large one sketches first, in the nearest cells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.cells import Cells, Rows, fitted
from stream_engine.index.protocol import SCORE_DIGITS, Match, Point, Query, checked, ranked
from stream_engine.vectors import Matrix

INLINE_SCORES = 60_000  # more than about a millisecond of scores is computed off the event loop
SKETCHED_FROM = 4_096  # items; fewer are compared one by one
SKETCHED_AGAIN = 4  # times as many items: sketches are fitted again
SKETCHED_LAST = 200_000  # items from which they stay as they are, for to fit again takes seconds
LOOK_AT = 12_000  # sketches a query is compared with, however many there are
KEEP = 600  # of them, at the least, that are compared in full
KEEP_TIMES = 10  # of the items asked for
SLICE = 1_024  # rows sketched at once


class MemoryIndex:
    """Cosine over all available items; unavailable ones are only counted, so they cost a search nothing.

    Exact, unless made with `exact=False`: then in large catalogues (where sketches are faithful, and where no category
    is asked for) 1 to 3 of 100 of the nearest are missed, and a million items cost a search twice what 10,000 do.
    """

    def __init__(self, dimensions: int, *, exact: bool = True, sketched_from: int = SKETCHED_FROM) -> None:
        self._dimensions = dimensions
        self._vectors: Matrix = np.zeros((0, dimensions), dtype=np.float32)  # the first len(_ids) rows are in use
        self._ids: list[str] = []
        self._categories: list[tuple[str, ...]] = []
        self._rows: dict[str, int] = {}
        self._members: dict[str, set[int]] = {}
        self._unavailable: set[str] = set()
        self._cells: Cells | None = None
        self._fit_at = None if exact else sketched_from
        self._lock = asyncio.Lock()

    async def ensure(self) -> None:
        """Always ready."""

    async def optimize(self) -> None:
        """Always as cheap as it gets."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently."""
        for point in points:
            checked(point.vector, self._dimensions)
        unique = {point.item_id: point for point in points}
        async with self._lock:
            for item_id in unique:
                self._remove(item_id)
            begin = len(self._ids)
            for point in unique.values():
                if point.available:
                    self._append(point)
                else:
                    self._unavailable.add(point.item_id)
            if self._fit_at is not None and len(self._ids) >= self._fit_at:
                await asyncio.to_thread(self._fit)
            elif self._cells is not None:
                self._cells.add(np.arange(begin, len(self._ids)), self._vectors[begin : len(self._ids)])

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
            looked_at = len(self._ids) if self._cells is None else min(LOOK_AT, len(self._ids))
            if len(queries) * looked_at <= INLINE_SCORES:
                return self._search(queries)
            return await asyncio.to_thread(self._search, queries)

    async def count(self) -> int:
        """How many items are stored."""
        return len(self._ids) + len(self._unavailable)

    async def close(self) -> None:
        """Nothing to release."""

    def _fit(self) -> None:
        """Sketch what is here, with a basis that tells it apart; wait for much more before the next time."""
        count = len(self._ids)
        basis = fitted(self._vectors[:count])
        self._cells = None if basis is None else Cells(basis)
        self._fit_at = count * SKETCHED_AGAIN if count < SKETCHED_LAST else None
        if self._cells is not None:
            for begin in range(0, count, SLICE):
                end = min(count, begin + SLICE)
                self._cells.add(np.arange(begin, end), self._vectors[begin:end])

    def _append(self, point: Point) -> None:
        row, categories = len(self._ids), tuple(dict.fromkeys(point.categories))
        if row == len(self._vectors):
            grown = np.zeros((max(1024, row * 3 // 2), self._dimensions), dtype=np.float32)
            grown[:row] = self._vectors
            self._vectors = grown
        self._ids.append(point.item_id)
        self._categories.append(categories)
        self._rows[point.item_id] = row
        self._vectors[row] = point.vector
        for category in categories:
            self._members.setdefault(category, set()).add(row)

    def _remove(self, item_id: str) -> None:
        """The last row takes the place of the removed one, so rows stay contiguous."""
        self._unavailable.discard(item_id)
        row = self._rows.pop(item_id, None)
        if row is None:
            return
        self._leave(row)
        if self._cells is not None:
            self._cells.remove(row)
        last = len(self._ids) - 1
        last_id, last_categories = self._ids.pop(), self._categories.pop()
        if row == last:
            return
        for category in last_categories:
            self._members[category].remove(last)
            self._members[category].add(row)
        self._ids[row], self._categories[row], self._rows[last_id] = last_id, last_categories, row
        self._vectors[row] = self._vectors[last]
        if self._cells is not None:
            self._cells.rename(last, row)

    def _leave(self, row: int) -> None:
        for category in self._categories[row]:
            members = self._members[category]
            members.remove(row)
            if not members:
                del self._members[category]

    def _search(self, queries: Sequence[Query]) -> list[list[Match]]:
        if not queries or not self._ids:
            return [[] for _ in queries]
        if self._cells is not None:
            return [self._nearly(query, self._cells) for query in queries]
        scores = _scores(self._vectors[: len(self._ids)], np.stack([query.vector for query in queries]))
        return [self._exactly(query, row) for query, row in zip(queries, scores, strict=True)]

    def _nearly(self, query: Query, cells: Cells) -> list[Match]:
        if query.categories:
            rows = self._of_categories(query.categories)
        else:
            keep = max(KEEP, KEEP_TIMES * query.limit) + len(query.exclude)
            rows = cells.near(query.vector, look_at=LOOK_AT, keep=keep)
        return self._best(query, rows, self._vectors[rows] @ query.vector)

    def _exactly(self, query: Query, scores: NDArray[np.float32]) -> list[Match]:
        if not query.categories:
            return self._best(query, None, scores)
        rows = self._of_categories(query.categories)
        return self._best(query, rows, scores[rows])

    def _best(self, query: Query, rows: Rows | None, scores: NDArray[np.float32]) -> list[Match]:
        """The highest scores, each of the row at its place; without `rows`, each of its own."""
        if query.limit < 1 or not query.vector.any():
            return []
        if query.exclude:
            excluded = [row for item_id in query.exclude if (row := self._rows.get(item_id)) is not None]
            scores[excluded if rows is None else np.isin(rows, excluded)] = -np.inf
        found = _highest(scores, query.limit)
        found = found[np.argsort(-scores[found])]
        best = found if rows is None else rows[found]
        return ranked([self._ids[row] for row in best.tolist()], scores[found], query.limit)

    def _of_categories(self, categories: Sequence[str]) -> Rows:
        rows = set().union(*(self._members.get(category, ()) for category in categories))
        return np.fromiter(rows, dtype=np.int64, count=len(rows))


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
