"""What might be shown: every source's best that no filter removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import Pairs
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.filters import (
    FILTERS,
    NO_FLAGS,
    Flags,
    Sieve,
    allowed,
    asked_for,
    has_rules,
    sieve_of,
    sifted,
)
from stream_engine.ranking.habits import Habits
from stream_engine.ranking.news import outdated
from stream_engine.ranking.pool import STRENGTHS, Pool, roomy
from stream_engine.ranking.proposed import BIT, Asked, Candidates, CandidateSets, Parts, Strengths
from stream_engine.ranking.sources import BUDGETS, LISTING, Asking, Lines
from stream_engine.ranking.taste import Moments, Taste, moment_at, moments_of
from stream_engine.ranking.weighing import WEIGHING, most_proposed, propose

_WEIGHED = np.array([[BUDGETS.get(name, 0), BIT.get(name, 0)] for name in STRENGTHS], np.int32)
_TOPPED_UP = 400
_MOST = sum(BUDGETS.values())  # candidates of a question


class Listed(NamedTuple):
    """What some sources list, one after the other: each source's budget and bit, and where its rows end in a line."""

    lines: Lines
    limits: NDArray[np.int32]  # (sources, 3)


class Rules(NamedTuple):
    """Whether what is proposed is what callers asked for, all questions one after the other; nothing where all is."""

    flags: Flags
    ends: NDArray[np.int64]  # (questions + 1,)


class Gathered(NamedTuple):
    """Candidates of all questions one after the other, where each one's end, and how many its filters removed."""

    rows: Rows
    parts: Parts
    strengths: Strengths
    ends: NDArray[np.int64]  # (questions + 1,)
    removed: NDArray[np.int64]  # (questions, filters)


class Gatherer:
    """Brings together what the sources propose; keeps the room it needs for that."""

    def __init__(self, view: ItemView, without: Collection[str] = ()) -> None:
        self._view = view
        self._weighing = np.array([name not in without for name in WEIGHING])
        self._listing = {name: source for name, source in LISTING.items() if name not in without}
        self._limits = np.array([(BUDGETS[name], BIT[name], 0) for name in self._listing], np.int32).reshape(-1, 3)
        self._pool = roomy(None, items=0, proposals=0)

    def gather(self, tastes: Sequence[Taste], matches: Sequence[Rows], habits: Habits) -> Sequence[Candidates]:
        """Candidates enough for each list; fewer only if no more may be shown, seen ones only if all are seen.

        `matches` are what the index found for each.
        """
        if not tastes:
            return []
        columns, moments = self._view.columns, moments_of(tastes)
        self._view.settle(outdated(columns.news, columns.similar, moments).tolist())
        listed = self._listed(Asking(tastes, moments, matches))
        self._make_room(tastes, listed)
        rules, sieve = self._rules(tastes, listed), sieve_of(self._view, habits)
        rows, parts, strengths, ends, removed = _gathered(
            columns.pairs, moments, self._weighing, listed, sieve, rules, self._pool
        )
        found = CandidateSets(tastes, Asked(moments, rows, parts, strengths, ends), removed)
        few = np.diff(ends) < moments.numbers[:, 1]
        if not few.any():
            return found
        return [
            self._topped_up(taste, line, habits) if is_short else each
            for taste, line, is_short, each in zip(tastes, listed.lines, few.tolist(), found, strict=True)
        ]

    def _listed(self, asking: Asking) -> Listed:
        lines = [source(self._view, asking) for source in self._listing.values()]
        limits = self._limits.copy()
        limits[:, 2] = list(accumulate(line.shape[1] for line in lines))
        return Listed(np.concatenate([np.zeros((len(asking.tastes), 0), np.int64), *lines], axis=1), limits)

    def _make_room(self, tastes: Sequence[Taste], listed: Listed) -> None:
        """Have a pool that holds all that is proposed to any of them."""
        most = max(most_proposed(self._view.columns.pairs, taste.heard) for taste in tastes)
        self._pool = roomy(self._pool, items=len(self._view.ids), proposals=most + listed.lines.shape[1])

    def _proposed(self, taste: Taste, line: Rows) -> Pool:
        """Everything proposed to one of them."""
        propose(self._view.columns.pairs, taste.heard, self._weighing, line, self._pool)
        return self._pool

    def _rules(self, tastes: Sequence[Taste], listed: Listed) -> Rules:
        """The callers' rules, for which names are looked up, where there are any."""
        flags = [
            self._asked_for(taste, line) if has_rules(taste) else NO_FLAGS
            for taste, line in zip(tastes, listed.lines, strict=True)
        ]
        return Rules(np.concatenate(flags), np.cumsum([0, *map(len, flags)]))

    def _asked_for(self, taste: Taste, line: Rows) -> Flags:
        pool = self._proposed(taste, line)
        return asked_for(self._view, taste, pool.rows[: int(pool.used[0])])

    def _topped_up(self, taste: Taste, line: Rows, habits: Habits) -> Candidates:
        """From the whole catalogue: unseen ones if there are any, most popular first."""
        view, pool = self._view, self._proposed(taste, line)
        count, everything = int(pool.used[0]), view.all_rows()
        keep, removed = allowed(view, taste, everything, habits)
        if not keep.any():
            keep, removed = allowed(view, taste, everything, None)
        left = everything[keep]
        popular = np.lexsort((left, -view.columns.popularity[left, -1]))
        chosen = left[popular[:_TOPPED_UP]]
        place = {row: position for position, row in enumerate(pool.rows[:count].tolist())}
        found = [place.get(row, -1) for row in chosen.tolist()]
        padded = np.concatenate([pool.strengths[:count], np.zeros((1, len(STRENGTHS)), np.float32)])
        return Candidates(taste, chosen, np.zeros(len(chosen), np.int32), padded[found], removed)


@compiled
def _gathered(
    pairs: Pairs, moments: Moments, use: Flags, listed: Listed, sieve: Sieve, rules: Rules, pool: Pool
) -> Gathered:
    """The rows that any part has among its best, the bits of those parts, their strengths; how many were removed."""
    questions, used = len(moments.numbers), 0
    rows, parts = np.empty(questions * _MOST, np.int64), np.empty(questions * _MOST, np.int32)
    strengths = np.empty((questions * _MOST, len(STRENGTHS)), np.float32)
    ends, removed = np.zeros(questions + 1, np.int64), np.empty((questions, len(FILTERS)), np.int64)
    for at in range(questions):
        moment = moment_at(moments, at)
        slots = propose(pairs, moment.heard, use, listed.lines[at], pool)
        proposed, weights = pool.rows[: pool.used[0]], pool.strengths[: pool.used[0]]
        keep, removed[at] = sifted(sieve, moment, proposed, rules.flags[rules.ends[at] : rules.ends[at + 1]])
        elected = _elected(weights, keep, slots, listed.limits)
        for slot in range(len(elected)):
            if elected[slot]:
                rows[used], parts[used] = proposed[slot], elected[slot]
                for kind in range(len(STRENGTHS)):
                    strengths[used, kind] = weights[slot, kind]
                used += 1
        ends[at + 1] = used
    return Gathered(rows[:used], parts[:used], strengths[:used], ends, removed)


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
