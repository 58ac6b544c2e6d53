"""What was proposed to several questions and may be shown: arrays one after the other, as compiled loops read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import Rows
from stream_engine.ranking.filters import Removed, told
from stream_engine.ranking.sources import BUDGETS
from stream_engine.ranking.taste import Moments, Taste, moments_of, some_of

Strengths = NDArray[np.float32]  # (n, len(STRENGTHS))
Parts = NDArray[np.int32]
"""Which parts have each row among their best, as bits."""

_PARTS = tuple(BUDGETS)
BIT: Mapping[str, int] = {name: 1 << place for place, name in enumerate(_PARTS)}
TRENDING = BIT["trending"] | BIT["trending_in_category"]
_FIRST = ["catalogue", *(_PARTS[(bits & -bits).bit_length() - 1] for bits in range(1, 1 << len(_PARTS)))]  # by bits


class Candidates(NamedTuple):
    """Rows once each, which parts have each among their best, how strong they find it, what was removed."""

    taste: Taste
    rows: Rows
    parts: Parts
    strengths: Strengths
    removed: Removed

    def proposers(self, position: int) -> tuple[str, ...]:
        """The parts that have this candidate among their best; none if it comes from the catalogue as it is."""
        bits = int(self.parts[position])
        return tuple(name for name, bit in BIT.items() if bits & bit)


class Asked(NamedTuple):
    """Questions with their candidates, those of all one after the other; `ends` says where each question's end."""

    moments: Moments
    rows: Rows
    parts: Parts
    strengths: Strengths
    ends: NDArray[np.int64]  # (questions + 1,)


class CandidateSets(Sequence[Candidates]):
    """The candidates of several questions, those of one made when somebody looks: most are only read together."""

    def __init__(self, tastes: Sequence[Taste], asked: Asked, removed: NDArray[np.int64]) -> None:
        self._tastes = tastes
        self.asked = asked
        self._removed = removed  # (questions, filters)

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self._tastes)

    @overload
    def __getitem__(self, place: int) -> Candidates: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Candidates]: ...
    def __getitem__(self, place: int | slice) -> Candidates | Sequence[Candidates]:
        """The candidates of one question, or of some."""
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            return self._some(start, max(start, stop)) if step == 1 else list(self)[place]
        at = range(len(self))[place]
        begin, end = self.asked.ends[at : at + 2].tolist()
        _, rows, parts, strengths, _ = self.asked
        removed = told(self._removed[at])
        return Candidates(self._tastes[at], rows[begin:end], parts[begin:end], strengths[begin:end], removed)

    def _some(self, start: int, stop: int) -> CandidateSets:
        asked = self.asked._replace(
            moments=some_of(self.asked.moments, start, stop), ends=self.asked.ends[start : stop + 1]
        )
        return CandidateSets(self._tastes[start:stop], asked, self._removed[start:stop])


def asked_of(found: Sequence[Candidates]) -> Asked:
    """What compiled loops read of these, of which there is one at least."""
    if isinstance(found, CandidateSets):
        return found.asked
    return Asked(
        moments_of([each.taste for each in found]),
        np.concatenate([each.rows for each in found]),
        np.concatenate([each.parts for each in found]),
        np.concatenate([each.strengths for each in found]),
        np.cumsum([0, *(len(each.rows) for each in found)]),
    )


def origins_of(parts: Parts) -> list[str]:
    """For each candidate the first part that has it among its best."""
    return [_FIRST[bits] for bits in parts.tolist()]
