"""The rows of what an index found, looked up by name once for each item where the index has a number for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.found import Found
from stream_engine.index.protocol import Match
from stream_engine.items.view import ItemView, Rows

_UNKNOWN = -1


class MatchedRows:
    """Remembers the row of each number for as long as both stand for the same item."""

    def __init__(self, view: ItemView) -> None:
        self._view = view
        self._names: Sequence[str] = ()  # of the numbers
        self._reclaimed = view.reclaimed
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)  # by number

    def rows(self, matches: Sequence[Match]) -> Rows:
        """The rows of those items that have one, in order."""
        if not isinstance(matches, Found):
            return self._view.rows([match.item_id for match in matches])
        self._refresh(matches.names)
        rows: Rows = self._rows[matches.numbers]
        if (rows == _UNKNOWN).any():
            for number, name in zip(matches.numbers.tolist(), matches.item_ids, strict=True):
                row = self._view.row(name)
                self._rows[number] = _UNKNOWN if row is None else row
            rows = self._rows[matches.numbers]
            rows = rows[rows != _UNKNOWN]
        return rows

    def _refresh(self, names: Sequence[str]) -> None:
        """Forget what may have changed, and have room for every number."""
        if names is not self._names or self._view.reclaimed != self._reclaimed:
            self._names, self._reclaimed, self._rows = names, self._view.reclaimed, np.zeros(0, np.int64)
        if len(names) > len(self._rows):
            more = len(names) * 9 // 8 - len(self._rows)
            self._rows = np.concatenate([self._rows, np.full(more, _UNKNOWN)])
