"""Where candidates come from: small named parts, each proposing at most its budget of rows, best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.index.protocol import Match
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.question import Question
from stream_engine.ranking.signals import Signals


class Asked(NamedTuple):
    """All that a source may look at; `matches` is what the index answered."""

    view: ItemView
    question: Question
    signals: Signals
    matches: Sequence[Match]


class Source(NamedTuple):
    """A way to find candidates."""

    name: str
    budget: int
    propose: Callable[[Asked], Rows]


def interests(asked: Asked) -> Rows:
    """What the index found nearest to the user's interests."""
    best = sorted(asked.matches, key=lambda match: (-match.score, match.item_id))
    return asked.view.rows(match.item_id for match in best)


def together(asked: Asked) -> Rows:
    """What was clicked together with the recent items."""
    return _best(asked.signals.rows, asked.signals.together)


def last(asked: Asked) -> Rows:
    """What was clicked together with the last item."""
    return _best(asked.signals.rows, asked.signals.last)


def lately(asked: Asked) -> Rows:
    """What was of late clicked together with the last few items."""
    return _best(asked.signals.rows, asked.signals.lately)


def follows(asked: Asked) -> Rows:
    """What was clicked right after the last item."""
    return _best(asked.signals.rows, asked.signals.follows)


def trending(asked: Asked) -> Rows:
    """The most popular of each span of time, in turn."""
    best = [np.array(few.rows(), np.int64) for few in asked.view.trending]
    shortest = min(len(rows) for rows in best)
    turns = np.stack([rows[:shortest] for rows in best], axis=1).ravel()
    return turns if len(turns) else asked.view.all_rows()


def newest(asked: Asked) -> Rows:
    """What the catalogue took up last."""
    return np.array(asked.view.newest.rows(), np.int64)


def again(asked: Asked) -> Rows:
    """What this user had before."""
    return asked.signals.recent


SOURCES = (
    Source("interests", 100, interests),
    Source("clicked_together", 80, together),
    Source("clicked_with_last", 60, last),
    Source("clicked_together_lately", 60, lately),
    Source("follows", 40, follows),
    Source("trending", 80, trending),
    Source("newest", 40, newest),
)


def _best(rows: Rows, strengths: NDArray[np.float64]) -> Rows:
    order = np.argsort(-strengths, kind="stable")
    ordered: Rows = rows[order[: np.count_nonzero(strengths > 0)]]
    return ordered
