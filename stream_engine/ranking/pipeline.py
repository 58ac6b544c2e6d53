"""A list for a question: sources propose, filters remove, the ranker scores, the selector chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_engine.events import RecommendedItem
from stream_engine.index.protocol import Match
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.features import Features, features_of
from stream_engine.ranking.filters import HARD, SOFT, apply
from stream_engine.ranking.pool import Scratch
from stream_engine.ranking.question import Question
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.reasons import reasons_of
from stream_engine.ranking.selectors import diverse
from stream_engine.ranking.signals import Signals, signals_of
from stream_engine.ranking.sources import SOURCES, Asked
from stream_engine.settings import RankingSettings


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be shown: rows, the number of the source that proposed each, features, what was removed."""

    rows: Rows
    origins: NDArray[np.int64]
    table: Features
    signals: Signals
    removed: Mapping[str, int]


class Pipeline:
    """Makes lists from one view with one ranker."""

    def __init__(self, view: ItemView, ranker: Ranker, settings: RankingSettings) -> None:
        self._view = view
        self._ranker = ranker
        self._settings = settings
        self._scratch = Scratch()

    def list_of(self, question: Question, matches: Sequence[Match]) -> tuple[RecommendedItem, ...]:
        """The best and most varied of the candidates, with reasons; empty only if nothing may be shown."""
        found = self.candidates_of(question, matches)
        scores = self._ranker.scores(found.table)
        vectors = self._view.columns.vectors[found.rows].astype(np.float32)
        chosen = diverse(scores, vectors, size=question.size, diversity=self._settings.diversity)
        shares = self._ranker.shares(found.table[chosen])
        return tuple(
            RecommendedItem(
                item_id=self._view.ids[found.rows[position]],
                rank=rank,
                score=round(float(scores[position]), 6),
                source=SOURCES[found.origins[position]].name,
                reasons=reasons_of(self._view, found.signals, int(found.rows[position]), share),
            )
            for rank, (position, share) in enumerate(zip(chosen, shares, strict=True), start=1)
        )

    def candidates_of(self, question: Question, matches: Sequence[Match]) -> Candidates:
        """Every source's best, each row once; without any, the whole catalogue; seen ones only if all are seen."""
        view = self._view
        signals = signals_of(view, question, self._scratch)
        asked = Asked(view, question, signals, matches)
        # the first source to propose a row is its origin: what is written last stays
        proposed = [source.propose(asked)[: source.budget] for source in SOURCES][::-1]
        rows, index = self._scratch.distinct(np.concatenate(proposed), bound=len(view.ids))
        origins = np.zeros(len(rows), np.int64)
        origins[index] = np.repeat(np.arange(len(SOURCES))[::-1], [len(part) for part in proposed])
        shown, removed = self._allowed(question, rows)
        place = dict(zip(rows.tolist(), origins.tolist(), strict=True))
        return Candidates(
            rows=shown,
            origins=np.array([place.get(row, 0) for row in shown.tolist()], np.int64),
            table=features_of(view, question, signals, shown),
            signals=signals,
            removed=removed,
        )

    def _allowed(self, question: Question, rows: Rows) -> tuple[Rows, Mapping[str, int]]:
        allowed = apply(HARD, self._view, question, rows)
        fresh = apply(SOFT, self._view, question, allowed.rows)
        if not len(fresh.rows):
            allowed = apply(HARD, self._view, question, self._view.all_rows())
            fresh = apply(SOFT, self._view, question, allowed.rows)
        return (fresh.rows if len(fresh.rows) else allowed.rows), {**allowed.removed, **fresh.removed}
