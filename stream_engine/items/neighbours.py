"""Who goes with an item, brought up to date when somebody looks: most items change many times before that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.errors import PoisonEvent
from stream_engine.items.columns import Columns, Pairs
from stream_engine.items.statistics import ItemStatistics, packed
from stream_engine.items.tally import decay
from stream_engine.settings import StatisticsSettings

log = logging.getLogger(__name__)
WAITING = 16_384  # items, a kilobyte or two each; of more the first is done, so that nobody waits for all at once
_MOST = np.float32(60_000.0)  # what a half-precision weight can hold

RowOf = Callable[[str, int], int]
"""Where an item stands, or what is given if it has no row."""

Statistics = Callable[[], ItemStatistics]
"""Decodes them, or raises PoisonEvent: most are replaced before anybody asks."""


class Neighbours:
    """What was said of rows and is not in the columns yet."""

    def __init__(self, row_of: RowOf, settings: StatisticsSettings) -> None:
        self._row_of = row_of
        self._settings = settings
        self._waiting: dict[int, Statistics] = {}

    def note(self, columns: Columns, row: int, pairs: float, statistics: Statistics) -> None:
        """These are the latest of a row, with all pair weight ever seen."""
        self._waiting[row] = statistics
        columns.waiting[row], columns.heard[row] = True, pairs
        if len(self._waiting) > WAITING:
            self.settle(columns, [next(iter(self._waiting))])

    def forget(self, row: int) -> None:
        """There is nothing to say of it."""
        self._waiting.pop(row, None)

    def settle(self, columns: Columns, rows: Iterable[int]) -> None:
        """Bring these rows up to date."""
        told: dict[int, ItemStatistics] = {}
        for row in rows:
            statistics = self._waiting.pop(row, None)
            if statistics is None:
                continue
            columns.waiting[row] = False
            try:
                told[row] = statistics()
            except PoisonEvent:
                log.exception("unreadable statistics")
        if told:
            self._write(columns, np.array(list(told), np.int64), list(told.values()))

    def _write(self, columns: Columns, rows: NDArray[np.int64], told: Sequence[ItemStatistics]) -> None:
        columns.settled[rows] = [stats.pairs for stats in told]
        sizes = np.array([(len(stats.neighbours), len(stats.followers)) for stats in told], np.int64)
        names = chain.from_iterable(chain(stats.neighbours, stats.followers) for stats in told)
        others = np.fromiter(map(self._row_of, names, repeat(-1)), np.int32, sizes.sum())
        said = b"".join(
            chain.from_iterable(
                (stats.together, packed(stats.followers.values()), stats.lately, stats.after) for stats in told
            )
        )
        faded = [decay(stats.updated - stats.landmark, self._settings.lately) for stats in told]
        weights = np.minimum(np.frombuffer(said, np.float32), _MOST)
        _fade(weights, sizes, np.array(faded, np.float32))
        _fill(columns.pairs, rows, sizes, others, weights, weights.astype(np.float16).view(np.uint16))


@compiled
def _fade(weights: NDArray[np.float32], sizes: NDArray[np.int64], faded: NDArray[np.float32]) -> None:
    """What was weighed lately, as it weighs now. Of each row come together, followers, lately and after."""
    start = 0
    for at in range(len(sizes)):
        neighbours, followers = sizes[at]
        lately = start + neighbours + followers
        weights[lately : lately + neighbours] *= faded[at]
        start = lately + 2 * neighbours


@compiled
def _fill(
    pairs: Pairs,
    rows: NDArray[np.int64],
    sizes: NDArray[np.int64],
    others: NDArray[np.int32],
    weights: NDArray[np.float32],
    halves: NDArray[np.uint16],
) -> None:
    """Write the rows' neighbours and followers one after the other, of each so many as `sizes` says."""
    begin, start = 0, 0
    for at in range(len(rows)):
        neighbours, followers = sizes[at]
        end, stop = begin + neighbours + followers, start + 3 * neighbours + followers
        _fill_row(pairs, rows[at], others[begin:end], weights[start:stop], halves[start:stop], neighbours)
        begin, start = end, stop


@compiled
def _fill_row(
    pairs: Pairs,
    row: int,
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
    halves: NDArray[np.uint16],
    count: int,
) -> None:
    """Write a row's `count` neighbours and its followers, as many as there is room for, without unknown items.

    The heaviest first; the weights are those of all rows, then, lately and after, of the neighbours.
    """
    order = np.argsort(-weights[:count], kind="mergesort")  # which is stable
    followed = np.argsort(-weights[count : len(rows)], kind="mergesort")
    place = 0
    neighbours, followers = pairs.neighbours[row], pairs.followers[row]
    lately, after = halves[len(rows) :], halves[len(rows) + count :]
    for at in order:
        if rows[at] >= 0 and place < len(neighbours):
            neighbours[place] = rows[at]
            pairs.together[row, place] = halves[at]
            pairs.lately[row, place] = lately[at]
            pairs.after[row, place] = after[at]
            place += 1
    neighbours[place:] = -1
    place = 0
    for at in followed:
        if rows[count + at] >= 0 and place < len(followers):
            followers[place] = rows[count + at]
            pairs.follows[row, place] = halves[count + at]
            place += 1
    followers[place:] = -1
