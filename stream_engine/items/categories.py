"""The categories of a catalogue by number: how many items each has, and which of them are popular."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.bounded import BestFew

_SHELF = 40  # popular items kept at hand of a category
_ROOM = 64


class Categories:
    """Numbers for names, in the order they were heard of."""

    def __init__(self) -> None:
        self.sizes: NDArray[np.int32] = np.zeros(_ROOM, np.int32)  # items by category
        self.shelves: list[BestFew] = []
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self.shelves)

    def code(self, name: str) -> int | None:
        """The number of a category; None if no item ever had it."""
        return self._codes.get(name)

    def enter(self, name: str) -> int:
        """One more item has this category; its number."""
        code = self._codes.setdefault(name, len(self.shelves))
        if code == len(self.shelves):
            self.shelves.append(BestFew(_SHELF))
            if code == len(self.sizes):
                self.sizes = np.concatenate([self.sizes, np.zeros_like(self.sizes)])
        self.sizes[code] += 1
        return code

    def leave(self, name: str, row: int) -> None:
        """One item less has it."""
        code = self._codes[name]
        self.sizes[code] -= 1
        self.shelves[code].forget(row)
