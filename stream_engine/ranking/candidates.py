"""What might be shown: every source's best that no filter removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import Match
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.filters import Removed, allowed
from stream_engine.ranking.habits import Habits
from stream_engine.ranking.pool import Scratch
from stream_engine.ranking.sources import BRIDGE_WIDTH, BRIDGED, BUDGETS, LATELY, SOURCES, STRENGTHS, Source
from stream_engine.ranking.taste import Taste

Strengths = NDArray[np.float32]  # (n, len(STRENGTHS))
_STRENGTH: Mapping[str, int] = {name: place for place, name in enumerate(STRENGTHS)}
_PARTS = tuple(BUDGETS)
_BIT: Mapping[str, int] = {name: 1 << place for place, name in enumerate(_PARTS)}
TRENDING = _BIT["trending"] | _BIT["trending_in_category"]
_FIRST = ("catalogue", *_PARTS)
_TOPPED_UP = 400
NEWS, OLD_NEWS = 1.05, 1.25  # growth of a recent and of an older item's pairs that is worth settling


@dataclass(frozen=True, slots=True)
class Candidates:
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

    def origins(self, positions: Sequence[int]) -> list[str]:
        """For each candidate the first part that has it among its best."""
        # the lowest set bit of b is b & -b
        return [_FIRST[(bits & -bits).bit_length()] for bits in self.parts[positions].tolist()]


def gather(
    view: ItemView,
    taste: Taste,
    matches: Sequence[Match],
    *,
    habits: Habits,
    scratch: Scratch,
    sources: Mapping[str, Source] = SOURCES,
) -> Candidates:
    """Candidates enough for the list; fewer only if no more may be shown, seen ones only if all are seen."""
    view.settle(taste.recent[:LATELY].tolist(), news=NEWS)
    view.settle(taste.recent[LATELY:].tolist(), news=OLD_NEWS)
    view.settle(view.columns.similar[taste.recent[:BRIDGED], :BRIDGE_WIDTH].ravel().tolist(), news=OLD_NEWS)
    proposals = {name: source(view, taste, matches) for name, source in sources.items()}
    rows, index = scratch.distinct(
        np.concatenate([np.zeros(0, np.int64), *(each.rows for each in proposals.values())]), bound=len(view.ids)
    )
    keep, removed = allowed(view, taste, rows, habits)
    strengths = np.zeros((len(STRENGTHS), len(rows)), np.float32)
    parts = np.zeros(len(rows), np.int32)
    start = 0
    for name, proposal in proposals.items():
        places = index[start : start + len(proposal.rows)]
        start += len(places)
        if not proposal.weights:
            parts[places[keep[places]][: BUDGETS[name]]] |= _BIT[name]
        for strength, weights in proposal.weights.items():
            total = np.bincount(places[: len(weights)], weights, len(rows))
            strengths[_STRENGTH[strength]] = total
            if strength in BUDGETS:
                parts[_best(np.where(keep, total, 0.0), BUDGETS[strength])] |= _BIT[strength]
    best = np.flatnonzero(parts)
    if len(best) < taste.question.size:
        return _topped_up(view, taste, rows, strengths, habits)
    return Candidates(taste, rows[best], parts[best], strengths[:, best].T, removed)


def _best(strengths: NDArray[Any], budget: int) -> NDArray[np.intp]:
    """Where the `budget` strongest are, of those that have any strength."""
    if np.count_nonzero(strengths) > budget:
        return strengths.argpartition(-budget)[-budget:]
    return np.flatnonzero(strengths)


def _topped_up(view: ItemView, taste: Taste, rows: Rows, strengths: NDArray[np.float32], habits: Habits) -> Candidates:
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
    padded = np.concatenate([strengths, np.zeros((len(strengths), 1), np.float32)], axis=1)
    return Candidates(taste, chosen, np.zeros(len(chosen), np.int32), padded[:, found].T, removed)
