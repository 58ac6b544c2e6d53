"""The best few of many, kept up to date at constant cost."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_not

import numpy as np
from numpy.typing import NDArray


class BestFew:
    """The `size` highest-scored rows of all that were offered."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._scores: dict[int, float] = {}
        self._floor = float("-inf")
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._offers = size  # since `_rows` was made

    def offer(self, row: int, score: float) -> None:
        """Consider a row's new score."""
        if score < self._floor and row not in self._scores:
            return
        self._scores[row] = score
        self._offers += 1
        if len(self._scores) > 2 * self._size:
            kept = self._best().tolist()
            self._floor = self._scores[kept[-1]]
            self._scores = {row: self._scores[row] for row in kept}

    def forget(self, row: int) -> None:
        """Drop a row; unknown rows are ignored."""
        if self._scores.pop(row, None) is not None:
            self._offers = self._size

    def rows(self) -> NDArray[np.int64]:
        """The best, best first, as of a few offers ago; ties by row."""
        if self._offers > self._size // 4 or len(self._rows) < min(len(self._scores), self._size):
            self._rows = self._best()
            self._offers = 0
        return self._rows

    def _best(self) -> NDArray[np.int64]:
        count = len(self._scores)
        rows = np.fromiter(self._scores, np.int64, count)
        scores = np.fromiter(self._scores.values(), np.float64, count)
        return rows[np.lexsort((rows, -scores))[: self._size]]


class BestInTurn:
    """The best of each of several, then the second best, and so on: put together only when one of them changed."""

    def __init__(self, several: Sequence[BestFew]) -> None:
        self._several = several
        self._count = 0
        self._lists: list[NDArray[np.int64]] = []
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)

    def rows(self, count: int) -> NDArray[np.int64]:
        """`count` or so in all, -1 where one of them has no more."""
        lists = [best.rows() for best in self._several]
        if count != self._count or any(map(is_not, lists, self._lists)):
            self._count, self._lists, self._rows = count, lists, in_turn(lists, count)
        return self._rows


def in_turn(lists: Sequence[NDArray[np.int64]], count: int) -> NDArray[np.int64]:
    """The best of each list in turn, `count` or so in all, -1 where one of several has no more."""
    if len(lists) == 1:
        return lists[0][:count]
    each = -(-count // max(len(lists), 1))
    padded = np.full((max(len(lists), 1), each), -1, np.int64)
    for line, rows in zip(padded, lists, strict=False):  # without lists there is a line of nothing
        line[: len(rows)] = rows[:each]
    return padded.T.ravel()
