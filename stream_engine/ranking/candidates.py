"""What might be shown: every source's best that no filter removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import News
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.filters import Flags, Removed, Sieve, allowed, asked_for, sieve_of, sifted, told
from stream_engine.ranking.habits import Habits
from stream_engine.ranking.pool import STRENGTHS, Pool, roomy
from stream_engine.ranking.sources import BUDGETS, LISTING
from stream_engine.ranking.taste import Taste
from stream_engine.ranking.weighing import (
    BRIDGE_WIDTH,
    BRIDGED,
    LATELY,
    WEIGHING,
    most_proposed,
    propose,
)

Strengths = NDArray[np.float32]  # (n, len(STRENGTHS))
_PARTS = tuple(BUDGETS)
_BIT: Mapping[str, int] = {name: 1 << place for place, name in enumerate(_PARTS)}
_WEIGHED = np.array([[BUDGETS.get(name, 0), _BIT.get(name, 0)] for name in STRENGTHS], np.int32)
TRENDING = _BIT["trending"] | _BIT["trending_in_category"]
_FIRST = ["catalogue", *(_PARTS[(bits & -bits).bit_length() - 1] for bits in range(1, 1 << len(_PARTS)))]  # by bits
_TOPPED_UP = 400
_NONE = np.zeros(0, np.int64)
NEWS, OLD_NEWS = 1.05, 1.25  # growth of a recent and of an older item's pairs that is worth settling


class Candidates(NamedTuple):
    """Rows once each, which parts have each among their best (bits), how strong they find it, what was removed."""

    taste: Taste
    rows: Rows
    parts: NDArray[np.int32]
    strengths: Strengths
    removed: Removed

    def proposers(self, position: int) -> tuple[str, ...]:
        """The parts that have this candidate among their best; none if it comes from the catalogue as it is."""
        bits = int(self.parts[position])
        return tuple(name for name, bit in _BIT.items() if bits & bit)


def origins_of(parts: NDArray[np.int32]) -> list[str]:
    """For each candidate the first part that has it among its best."""
    return [_FIRST[bits] for bits in parts.tolist()]


class Listed(NamedTuple):
    """Rows of some sources one after the other: each source's budget and bit, and where its rows end."""

    rows: NDArray[np.int64]
    limits: NDArray[np.int32]  # (sources, 3)


class Gatherer:
    """Brings together what the sources propose; keeps the room it needs for that."""

    def __init__(self, view: ItemView, without: Collection[str] = ()) -> None:
        self._view = view
        self._weighing = np.array([name not in without for name in WEIGHING])
        self._listing = {name: source for name, source in LISTING.items() if name not in without}
        self._limits = np.array([(BUDGETS[name], _BIT[name], 0) for name in self._listing], np.int32).reshape(-1, 3)
        self._pool: Pool | None = None

    def gather(self, taste: Taste, matches: Rows, habits: Habits) -> Candidates:
        """Candidates enough for the list; fewer only if no more may be shown, seen ones only if all are seen."""
        view = self._view
        self._settle(taste)
        lists = self._lists(taste, matches)
        pool, slots = self._pooled(taste, lists)
        count = int(pool.used[0])
        rows, strengths = pool.rows[:count], pool.strengths[:count]
        sieve, asked = sieve_of(view, taste, habits), asked_for(view, taste, rows)
        best, parts, how, removed = _best(rows, strengths, sieve, asked, slots, lists.limits)
        if len(best) < taste.question.size:
            return _topped_up(view, taste, rows, strengths, habits)
        return Candidates(taste, best, parts, how, told(removed))

    def _settle(self, taste: Taste) -> None:
        columns = self._view.columns
        self._view.settle(_outdated(columns.news, columns.similar, taste.recent).tolist())

    def _lists(self, taste: Taste, matches: Rows) -> Listed:
        lists = [source(self._view, taste, matches) for source in self._listing.values()]
        limits = self._limits.copy()
        limits[:, 2] = list(accumulate(map(len, lists)))
        return Listed(np.concatenate([_NONE, *lists]), limits)

    def _pooled(self, taste: Taste, lists: Listed) -> tuple[Pool, NDArray[np.int64]]:
        """Everything proposed, and the slot of each row that was listed."""
        pairs, heard = self._view.columns.pairs, taste.heard
        proposals = most_proposed(pairs, heard) + len(lists.rows)
        pool = self._pool = roomy(self._pool, items=len(self._view.ids), proposals=proposals)
        return pool, propose(pairs, heard, self._weighing, lists.rows, pool)


@compiled
def _outdated(news: News, similar: NDArray[np.int32], recent: Rows) -> Rows:
    """Of the rows that speak, those whose pairs grew by enough since they were written.

    What an item has seen often one more click hardly changes.
    """
    rows, count = np.empty(len(recent) + BRIDGED * BRIDGE_WIDTH, np.int64), 0
    for place in range(len(recent)):
        if _has_news(news, recent[place], NEWS if place < LATELY else OLD_NEWS):
            rows[count] = recent[place]
            count += 1
    for row in recent[:BRIDGED]:
        for other in similar[row, :BRIDGE_WIDTH]:
            if other >= 0 and _has_news(news, other, OLD_NEWS):
                rows[count] = other
                count += 1
    return rows[:count]


@compiled
def _has_news(news: News, row: int, growth: float) -> bool:
    return bool(news.waiting[row] and news.heard[row] >= growth * news.settled[row])


@compiled
def _best(
    rows: Rows, strengths: Strengths, sieve: Sieve, asked: Flags, slots: NDArray[np.int64], lists: NDArray[np.int32]
) -> tuple[Rows, NDArray[np.int32], Strengths, NDArray[np.int64]]:
    """The rows that any part has among its best, the bits of those parts, their strengths; how many were removed."""
    keep, removed = sifted(sieve, rows, asked)
    parts = _elected(strengths, keep, slots, lists)
    best = np.flatnonzero(parts)
    return rows[best], parts[best], strengths[best], removed


@compiled
def _elected(
    strengths: Strengths, keep: Flags, slots: NDArray[np.int64], lists: NDArray[np.int32]
) -> NDArray[np.int32]:
    """For each row the bits of the parts that have it among their best: the strongest, or the first in a list."""
    parts, strongest = np.zeros(len(keep), np.int32), np.empty(len(keep), np.float32)
    for kind in range(len(_WEIGHED)):
        budget, bit = _WEIGHED[kind]
        count = 0
        for at in range(len(keep) if budget else 0):
            if keep[at] and strengths[at, kind] > 0:
                strongest[count] = strengths[at, kind]
                count += 1
        least = np.float32(0.0)
        if count > budget:
            least = np.partition(strongest[:count], count - budget)[count - budget]
        for at in range(len(keep) if budget else 0):
            if budget and keep[at] and strengths[at, kind] > 0 and strengths[at, kind] >= least:
                parts[at] |= bit
                budget -= 1
    start = 0
    for at in range(len(lists)):
        budget, bit, end = lists[at]
        for slot in slots[start:end]:
            if budget and slot >= 0 and keep[slot]:
                parts[slot] |= bit
                budget -= 1
        start = end
    return parts


def _topped_up(view: ItemView, taste: Taste, rows: Rows, strengths: Strengths, habits: Habits) -> Candidates:
    """From the whole catalogue: unseen ones if there are any, most popular first."""
    everything = view.all_rows()
    keep, removed = allowed(view, taste, everything, habits)
    if not keep.any():
        keep, removed = allowed(view, taste, everything, None)
    left = everything[keep]
    popular = np.lexsort((left, -view.columns.popularity[left, -1]))
    chosen = left[popular[:_TOPPED_UP]]
    place = {row: position for position, row in enumerate(rows.tolist())}
    found = [place.get(row, -1) for row in chosen.tolist()]
    padded = np.concatenate([strengths, np.zeros((1, len(STRENGTHS)), np.float32)])
    return Candidates(taste, chosen, np.zeros(len(chosen), np.int32), padded[found], removed)
