"""Rows proposed many times over, each brought down to one place, without sorting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import Rows


class Scratch:
    """Numbers rows in time proportional to how many are given, whatever the catalogue; not for two threads."""

    def __init__(self) -> None:
        self._place = np.zeros(1, np.int32)

    def distinct(self, rows: Rows, *, bound: int) -> tuple[Rows, NDArray[np.int32]]:
        """The distinct rows, and for each given row its index among them; all are below `bound`, at least -1."""
        if len(self._place) <= bound:
            self._place = np.zeros(bound * 3 // 2 + 1, np.int32)
        place = self._place  # never cleared: only what was just written is read; row -1 has the last place
        order = np.arange(len(rows), dtype=np.int32)
        place[rows] = order
        kept = rows[place[rows] == order]
        place[kept] = order[: len(kept)]
        return kept, place[rows]
