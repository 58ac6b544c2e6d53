"""What is near each item by its text, looked up ahead: then no click has to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stream_engine.errors import Unavailable
from stream_engine.giving_way import give_way
from stream_engine.index.protocol import Index, Query
from stream_engine.items.view import SIMILAR, ItemView, Rows
from stream_engine.ranking.matched import MatchedRows
from stream_engine.vectors import unit

AT_ONCE = 4  # items: a click that comes meanwhile waits for a millisecond or two
SHARE = 0.05  # of the time at most
AGAIN = 1.0  # seconds until we look whether there are others
GROWN = 0.95  # share of the items with text that were there when it was asked about one, from which that will do


def is_explored(view: ItemView, row: int) -> bool:
    """Whether the item's neighbours are known, and were found in a catalogue not much smaller; or it has no text."""
    return not _left(view, row)


def _left(view: ItemView, rows: int | slice) -> Any:
    """Whether each of them has a text and was not asked about, or only in a catalogue that was much smaller."""
    columns = view.columns
    return columns.has_vector[rows] & (columns.asked[rows] < GROWN * view.encoded)


class Explorer:
    """Asks the index about a few items at a time, those clicked most first."""

    def __init__(self, view: ItemView, index: Index) -> None:
        self._view = view
        self._index = index
        self._matched = MatchedRows(view)

    async def step(self) -> int:
        """Look up the next few; returns of how many something was found; raises Unavailable."""
        view, found = self._view, 0
        rows = self._next()
        if not len(rows):
            return 0
        centred = (view.vectors(rows) - view.space.mean) / view.columns.norms[rows, None]
        probes = unit(view.space.probes(centred))
        ids = [view.ids[row] for row in rows]
        answers = await self._index.search([Query(probe, SIMILAR + 1) for probe in probes])
        for item_id, row, matches in zip(ids, rows.tolist(), answers, strict=True):
            if matches and view.row(item_id) == row:  # another item may have taken its place meanwhile
                view.remember_similar(row, self._matched.rows(matches))
                found += 1
        return found

    async def run(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Explore for ever, for a small share of the time, and a smaller where there is much else to do."""
        while True:
            began = clock()
            await give_way()
            try:
                found = await self.step()
            except Unavailable:  # whoever answers clicks says so
                found = 0
            await asyncio.sleep((clock() - began) * (1 / SHARE - 1) if found else AGAIN)

    def _next(self) -> Rows:
        columns = self._view.columns
        left = np.flatnonzero(columns.known & _left(self._view, slice(None)))
        if len(left) <= AT_ONCE:
            return left
        return left[np.argpartition(-columns.clicks[left], AT_ONCE)[:AT_ONCE]]
