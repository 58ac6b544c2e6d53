"""Which rows have an id of a given hash, while rows come and are used again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Rows = NDArray[np.signedinteger[Any]]


class HashIndex:
    """The rows in the order of their hashes; apart from them those that have had another hash since."""

    def __init__(self) -> None:
        self._ordered = np.zeros(0, np.int32)
        self._hashes = np.zeros(0, np.uint32)  # of those, as they were then
        self._young: set[int] = set()
        self._young_rows = np.zeros(0, np.int64)  # the same, as of the last question

    def note(self, row: int) -> None:
        """The row has another hash now."""
        self._young.add(row)

    def rows(self, wanted: NDArray[np.uint32], hashes: NDArray[np.uint32]) -> _Rows:
        """The rows with these hashes, each once; `hashes` has that of every row."""
        if not len(wanted):
            return np.zeros(0, np.int64)
        if len(self._young) > len(self._ordered) // 50:
            self._ordered = np.argsort(hashes).astype(np.int32)
            self._hashes = hashes[self._ordered]
            self._young.clear()
        if len(self._young) != len(self._young_rows):  # it grows, or is emptied
            self._young_rows = np.fromiter(self._young, np.int64, len(self._young))
        young = self._young_rows
        fresh: _Rows = young[(hashes[young, None] == wanted).any(axis=1)]
        if not len(self._ordered):
            return fresh
        place = np.searchsorted(self._hashes, wanted).clip(max=len(self._ordered) - 1)
        found: _Rows = self._ordered[place[self._hashes[place] == wanted]]
        return np.concatenate([found[~np.isin(found, young)], fresh]) if len(young) else found
