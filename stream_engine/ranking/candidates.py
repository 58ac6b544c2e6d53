"""What might be shown: every source's best that no filter removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import Match
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.filters import Removed, allowed
from stream_engine.ranking.pool import Scratch
from stream_engine.ranking.sources import BRIDGE_WIDTH, BRIDGED, BUDGETS, SOURCES, STRENGTHS
from stream_engine.ranking.taste import Taste

Strengths = NDArray[np.float32]  # (n, len(STRENGTHS))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows once each, what the sources say of them, and how many rows each filter removed."""

    taste: Taste
    rows: Rows
    strengths: Strengths
    removed: Removed

    def origins(self, positions: Sequence[int]) -> list[str]:
        """For each candidate the first source that proposed it."""
        proposed = self.strengths[positions] > 0
        first = np.where(proposed.any(axis=1), proposed.argmax(axis=1), len(STRENGTHS))
        return [(*STRENGTHS, "catalogue")[place] for place in first.tolist()]


def gather(view: ItemView, taste: Taste, matches: Sequence[Match], scratch: Scratch) -> Candidates:
    """Candidates enough for the list; fewer only if no more may be shown, seen ones only if all are seen."""
    rows, strengths = _proposed(view, taste, matches, scratch)
    keep, removed = allowed(view, taste, rows)
    best = np.zeros(len(rows), np.bool_)
    for each, name in zip(strengths, STRENGTHS, strict=True):
        _mark_best(best, each * keep, BUDGETS[name])
    chosen = np.flatnonzero(best)
    if len(chosen) >= taste.question.size:
        return Candidates(taste, rows[chosen], strengths[:, chosen].T, removed)
    return _topped_up(view, taste, rows, strengths)


def _proposed(
    view: ItemView, taste: Taste, matches: Sequence[Match], scratch: Scratch
) -> tuple[Rows, NDArray[np.float32]]:
    """All rows any source proposes, and their strengths, shape (len(STRENGTHS), n)."""
    view.settle(taste.recent.tolist())
    view.settle(set(view.columns.similar[taste.recent[:BRIDGED], :BRIDGE_WIDTH].ravel().tolist()))
    proposals = [source(view, taste, matches) for source in SOURCES]
    rows, index = scratch.distinct(np.concatenate([each.rows for each in proposals]), bound=len(view.ids))
    strengths = np.zeros((len(STRENGTHS), len(rows)), np.float32)
    start = 0
    for proposal in proposals:
        part = index[start : start + len(proposal.rows)]
        start += len(proposal.rows)
        for name, weights in proposal.strengths.items():
            strengths[_PLACE[name]] = np.bincount(part, weights, len(rows))
    return rows, strengths


def _mark_best(best: NDArray[np.bool_], strengths: NDArray[np.float32], budget: int) -> None:
    """Mark the `budget` strongest of those that have any strength."""
    if np.count_nonzero(strengths) > budget:
        best[np.argpartition(strengths, len(strengths) - budget)[-budget:]] = True
    else:
        best |= strengths > 0


def _topped_up(view: ItemView, taste: Taste, rows: Rows, strengths: NDArray[np.float32]) -> Candidates:
    """From the whole catalogue: unseen ones if there are any, most popular first."""
    everything = view.all_rows()
    keep, removed = allowed(view, taste, everything)
    if not keep.any():
        keep, removed = allowed(view, taste, everything, seen_too=True)
    left = everything[keep]
    popular = np.lexsort((left, -view.columns.popularity[left, -1]))
    chosen = left[popular[:_TOPPED_UP]]
    place = {row: position for position, row in enumerate(rows.tolist())}
    known = [place.get(row, -1) for row in chosen.tolist()]
    padded = np.concatenate([strengths, np.zeros((len(strengths), 1), np.float32)], axis=1)
    return Candidates(taste, chosen, padded[:, known].T, removed)


_PLACE: Mapping[str, int] = {name: place for place, name in enumerate(STRENGTHS)}
_TOPPED_UP = 400
