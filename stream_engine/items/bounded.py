"""The best few of many, kept up to date at constant cost."""

from __future__ import annotations


class BestFew:
    """The `size` highest-scored rows; may hold up to twice as many between prunings."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._scores: dict[int, float] = {}
        self._floor = float("-inf")

    def offer(self, row: int, score: float) -> None:
        """Consider a row's new score."""
        if score < self._floor and row not in self._scores:
            return
        self._scores[row] = score
        if len(self._scores) > 2 * self._size:
            kept = self._best(self._size)
            self._floor = self._scores[kept[-1]]
            self._scores = {row: self._scores[row] for row in kept}

    def forget(self, row: int) -> None:
        """Drop a row; unknown rows are ignored."""
        self._scores.pop(row, None)

    def rows(self) -> list[int]:
        """The best rows, best first, ties by row."""
        return self._best(self._size)

    def _best(self, size: int) -> list[int]:
        return sorted(self._scores, key=lambda row: (-self._scores[row], row))[:size]
