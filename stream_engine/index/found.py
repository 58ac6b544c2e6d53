"""Matches by number: an index that counts its items need not name those it found, and nobody asks for most names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import Match, levelled


class Found(Sequence[Match]):
    """Best first; `names` has the item of each number, and is another list once numbers stand for other items."""

    __slots__ = ("_scores", "names", "numbers")

    def __init__(self, numbers: NDArray[np.int64], scores: NDArray[np.float64], names: Sequence[str]) -> None:
        self.numbers = numbers
        self.names = names
        self._scores = scores

    @property
    def item_ids(self) -> list[str]:
        """The items found."""
        return [self.names[number] for number in self.numbers.tolist()]

    def __len__(self) -> int:
        """How many were found."""
        return len(self.numbers)

    def __iter__(self) -> Iterator[Match]:
        """Each of them."""
        return map(Match, self.item_ids, self._scores.tolist())

    @overload
    def __getitem__(self, place: int) -> Match: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Match]: ...
    def __getitem__(self, place: int | slice) -> Match | Sequence[Match]:
        """One of them, or some."""
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        """Whether the same items were found as well, by whatever index."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def found(numbers: Sequence[Any], scores: Sequence[float], names: Sequence[str], limit: int) -> Found:
    """The first `limit`, given best first; equal scores are put in order of item id."""
    told, tied = levelled(scores)
    best = np.array(numbers, np.int64)
    if tied:
        order = np.array(sorted(range(len(told)), key=lambda at: (-told[at], names[numbers[at]])), np.int64)
        best, told = best[order], told[order]
    return Found(best[:limit], told[:limit], names)
