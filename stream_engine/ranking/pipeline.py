"""A list for a question: sources propose, filters remove, the ranker scores, the selector chooses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np

from stream_engine.compiled import compiled
from stream_engine.errors import BadConfiguration
from stream_engine.events import RecommendedItem
from stream_engine.index.protocol import Match, Query
from stream_engine.items.bounded import in_turn
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.candidates import Gatherer
from stream_engine.ranking.choice import Chosen, Wanted, choices_of
from stream_engine.ranking.exploring import is_explored
from stream_engine.ranking.features import FEATURES, facts_of, features_of, stock_of
from stream_engine.ranking.filters import allowed
from stream_engine.ranking.matched import MatchedRows
from stream_engine.ranking.net import scores_of
from stream_engine.ranking.proposed import Candidates, asked_of, origins_of
from stream_engine.ranking.quality import TOP, Quality, judged
from stream_engine.ranking.ranker import Ranker, Sample
from stream_engine.ranking.reasons import reasons
from stream_engine.ranking.sources import SOURCES
from stream_engine.ranking.taste import Taste
from stream_engine.settings import RankingSettings
from stream_engine.vectors import Matrix


def known_parts() -> frozenset[str]:
    """What `RankingSettings.without` may name."""
    return frozenset({*SOURCES, *FEATURES, "hidden", "replay", "facts"})


class Lookup(NamedTuple):
    """Queries for the index; with `about`, the first finds the neighbours of that row."""

    queries: list[Query]
    about: int | None = None


class Pipeline:
    """Makes lists from one view with one ranker."""

    def __init__(self, view: ItemView, ranker: Ranker, settings: RankingSettings) -> None:
        unknown = set(settings.without) - known_parts()
        if unknown:
            raise BadConfiguration("ranking.without", f"{sorted(unknown)} are none of {sorted(known_parts())}")
        self._view = view
        self._ranker = ranker
        self._settings = settings
        self._gatherer = Gatherer(view, settings.without)
        self._matched = MatchedRows(view)
        self.quality = Quality()

    def lookup(self, taste: Taste) -> Lookup:
        """What to ask the index.

        What is near the last item, unless that is known; what is near the profile, or near every interest if the
        items do not tell the latest of them. Those are ranked anew; what is near an item is kept as it is found.
        """
        question = taste.question
        probes = taste.probes[2:] if question.searched else taste.probes[:1]
        about = self._unexplored(taste)
        if about is not None:
            probes = np.concatenate([taste.probes[1:2], probes])
        rules = self._settings.candidates, question.categories, tuple(question.exclude)
        queries = [
            Query(probe, *rules, quick=about is None or place > 0) for place, probe in enumerate(_at_length_one(probes))
        ]
        return Lookup(queries, about)

    def candidates(
        self, tastes: Sequence[Taste], lookups: Sequence[Lookup], matches: Sequence[Sequence[Match]]
    ) -> Sequence[Candidates]:
        """What may be shown to each; `matches` answers the queries of all lookups, in order."""
        answers = iter(matches)
        found = [self._found(lookup, list(islice(answers, len(lookup.queries)))) for lookup in lookups]
        return self._gatherer.gather(tastes, found, self._ranker.habits)

    def _found(self, lookup: Lookup, matches: Sequence[Sequence[Match]]) -> Rows:
        """The rows of what answers a lookup, of several queries in turn."""
        found = [self._matched.rows(each) for each in matches]
        if lookup.about is not None and len(matches[0]):
            self._view.remember_similar(lookup.about, found[0])
        return in_turn(found, len(found) * max(map(len, found), default=0))

    def _unexplored(self, taste: Taste) -> int | None:
        """The last item, if its neighbours by text were found in a much smaller catalogue or never."""
        if not len(taste.recent) or taste.question.categories or taste.question.exclude:
            return None
        last = int(taste.recent[0])
        return None if is_explored(self._view, last) else last

    def made(self, found: Sequence[Candidates], *, explore: int | None = None) -> list[tuple[RecommendedItem, ...]]:
        """The best and most varied of the candidates of each, with reasons; empty only if nothing may be shown.

        `explore` overrides the setting.
        """
        if not found:
            return []
        wanted = Wanted(self._settings.diversity, self._settings.explore if explore is None else explore)
        chosen = choices_of(stock_of(self._view), self._ranker.net, asked_of(found), wanted)
        return self._told(chosen)

    def _told(self, chosen: Chosen) -> list[tuple[RecommendedItem, ...]]:
        """The lists with names for numbers."""
        ids, lists = self._view.ids, list(pairwise(chosen.ends.tolist()))
        places = chain.from_iterable(range(1, 1 + end - begin) for begin, end in lists)
        names, origins = [ids[row] for row in chosen.rows.tolist()], origins_of(chosen.parts)
        items = list(map(RecommendedItem, names, places, chosen.scores.tolist(), origins, reasons(chosen.why, ids)))
        return [tuple(items[begin:end]) for begin, end in lists]

    def learn(self, found: Candidates, item_id: str) -> None:
        """See how the clicked item would have been ranked, then learn that it was the answer."""
        row = self._view.row(item_id)
        answer = _place(found.rows, row)
        place = None
        if answer is not None:
            stock, moment = stock_of(self._view), found.taste.moment
            table, facts = features_of(stock, moment, found.rows, found.strengths), facts_of(stock, moment)
            scores = scores_of(self._ranker.net, table, facts)
            place = int(np.count_nonzero(scores > scores[answer]))
            self._ranker.learn(Sample(table, facts, answer))
        self.quality = judged(self.quality, place, _place(self._trending(found.taste), row))

    def _trending(self, taste: Taste) -> Rows:
        """What would be shown if only the popular of the day were."""
        rows = self._view.trending[min(1, len(self._view.trending) - 1)].rows()[: 4 * TOP]
        keep, _ = allowed(self._view, taste, rows, self._ranker.habits)
        return rows[keep]


@compiled
def _at_length_one(rows: Matrix) -> Matrix:
    """The rows, none of them zero, at length 1."""
    scaled = np.empty_like(rows)
    for at in range(len(rows)):
        square = np.float32(0.0)
        for component in range(rows.shape[1]):
            square += rows[at, component] * rows[at, component]
        scaled[at] = rows[at] / np.sqrt(square)
    return scaled


def _place(rows: Rows, row: int | None) -> int | None:
    """Where a row stands among rows."""
    places = [] if row is None else np.flatnonzero(rows == row).tolist()
    return places[0] if places else None
