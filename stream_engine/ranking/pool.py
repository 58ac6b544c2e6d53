"""Candidates gathered from several sources, each once, without sorting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import Rows


class Scratch:
    """Numbers rows by first-come place in time proportional to their count, whatever the catalogue."""

    def __init__(self) -> None:
        self._place = np.zeros(0, np.int64)

    def distinct(self, rows: Rows, *, bound: int) -> tuple[Rows, NDArray[np.int64]]:
        """The distinct rows, and for each given row its index among them; all are below `bound`."""
        if len(self._place) < bound:
            self._place = np.zeros(bound * 3 // 2, np.int64)
        place = self._place  # never cleared: only what was just written is read
        order = np.arange(len(rows))
        place[rows] = order
        kept = rows[place[rows] == order]
        place[kept] = order[: len(kept)]
        return kept, place[rows]
