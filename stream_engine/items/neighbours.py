"""Who goes with an item, brought up to date when somebody looks: most items change many times before that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from stream_engine.errors import PoisonEvent
from stream_engine.items.columns import Columns
from stream_engine.items.statistics import ItemStatistics, decay
from stream_engine.settings import StatisticsSettings

log = logging.getLogger(__name__)
WAITING = 4_096  # items; of more the one that has waited longest is done, so that nobody waits for all at once
_MOST = np.float32(60_000.0)  # what a half-precision weight can hold

Statistics = Callable[[], ItemStatistics]
"""Decodes them, or raises PoisonEvent: most are replaced before anybody asks."""


class Neighbours:
    """What was said of rows and is not in the columns yet; `row_of` tells where another item stands."""

    def __init__(self, row_of: Callable[[str], int | None], settings: StatisticsSettings) -> None:
        self._row_of = row_of
        self._settings = settings
        self._waiting: dict[int, tuple[float, Statistics]] = {}

    def note(self, columns: Columns, row: int, pairs: float, statistics: Statistics) -> None:
        """These are the latest of a row, with all pair weight ever seen."""
        self._waiting[row] = pairs, statistics
        if len(self._waiting) > WAITING:
            self.settle(columns, [next(iter(self._waiting))], news=0.0)

    def forget(self, row: int) -> None:
        """There is nothing to say of it."""
        self._waiting.pop(row, None)

    def settle(self, columns: Columns, rows: Iterable[int], *, news: float) -> None:
        """Bring these rows up to date if their pairs grew by more than this factor.

        What an item has seen often one more click hardly changes.
        """
        for row in rows:
            pairs, statistics = self._waiting.get(row, _NOTHING)
            if pairs >= news * columns.settled[row]:
                del self._waiting[row]
                try:
                    self._write(columns, row, statistics())
                except PoisonEvent:
                    log.exception("unreadable statistics")

    def _write(self, columns: Columns, row: int, stats: ItemStatistics) -> None:
        columns.settled[row] = stats.pairs
        aged = decay(stats.updated - stats.landmark, self._settings.lately)
        others, together = self._rows_of(stats.together), _values(stats.together)
        order = _strongest(others, together, self._settings.neighbours)
        count = len(order)
        columns.neighbours[row, :count] = others[order]
        columns.neighbours[row, count:] = -1
        columns.together[row, :count] = together[order]
        columns.lately[row, :count] = _values(stats.lately)[order] * aged
        columns.after[row, :count] = _values(stats.after)[order]
        followers, follows = self._rows_of(stats.followers), _values(stats.followers)
        order = _strongest(followers, follows, self._settings.followers)
        count = len(order)
        columns.followers[row, :count] = followers[order]
        columns.followers[row, count:] = -1
        columns.follows[row, :count] = follows[order]

    def _rows_of(self, item_ids: Mapping[str, float]) -> NDArray[np.int32]:
        """Their rows, -1 for items that have none."""
        found = map(self._row_of, item_ids)
        return np.fromiter((-1 if row is None else row for row in found), np.int32, len(item_ids))


def _nothing() -> ItemStatistics:
    raise AssertionError("of what nothing is said nothing is asked")


_NOTHING: tuple[float, Statistics] = -1.0, _nothing


def _strongest(rows: NDArray[np.int32], weights: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """The places of those that have a row, strongest first."""
    order = np.argsort(-weights)
    return order[rows[order] >= 0][:count]


def _values(mapping: Mapping[str, float]) -> NDArray[np.float32]:
    return np.minimum(np.fromiter(mapping.values(), np.float32, len(mapping)), _MOST)
