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
        order, together = self._listed(columns.neighbours[row], stats.together)
        columns.together[row, : len(order)] = together[order]
        columns.lately[row, : len(order)] = _values(stats.lately)[order] * aged
        columns.after[row, : len(order)] = _values(stats.after)[order]
        order, follows = self._listed(columns.followers[row], stats.followers)
        columns.follows[row, : len(order)] = follows[order]

    def _listed(
        self, into: NDArray[np.int32], weights: Mapping[str, float]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Write the rows of as many items as there is room for, strongest first; which these are, and all weights."""
        rows, values = self._rows_of(weights), _values(weights)
        order = np.argsort(-values)
        order = order[rows[order] >= 0][: len(into)]
        into[: len(order)] = rows[order]
        into[len(order) :] = -1
        return order, values

    def _rows_of(self, item_ids: Mapping[str, float]) -> NDArray[np.int32]:
        """Their rows, -1 for items that have none."""
        found = map(self._row_of, item_ids)
        return np.fromiter((-1 if row is None else row for row in found), np.int32, len(item_ids))


def _nothing() -> ItemStatistics:
    raise AssertionError("of what nothing is said nothing is asked")


_NOTHING: tuple[float, Statistics] = -1.0, _nothing


def _values(mapping: Mapping[str, float]) -> NDArray[np.float32]:
    return np.minimum(np.fromiter(mapping.values(), np.float32, len(mapping)), _MOST)
