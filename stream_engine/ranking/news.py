"""Which items have to be brought up to date before they speak: most change many times before anybody looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import News
from stream_engine.items.view import Rows
from stream_engine.ranking.taste import Moments
from stream_engine.ranking.weighing import BRIDGE_WIDTH, BRIDGED, LATELY

RECENT, OLDER = 1.05, 1.25  # growth of a recent and of an older item's pairs that is worth settling


@compiled
def outdated(news: News, similar: NDArray[np.int32], moments: Moments) -> Rows:
    """Of the rows that speak, those whose pairs grew by enough since they were written.

    What an item has seen often one more click hardly changes.
    """
    questions, count = len(moments.numbers), 0
    rows = np.empty(len(moments.recent) + questions * BRIDGED * BRIDGE_WIDTH, np.int64)
    for at in range(questions):
        recent = moments.recent[moments.ends[at, 0] : moments.ends[at + 1, 0]]
        for place in range(len(recent)):
            if _has_news(news, recent[place], RECENT if place < LATELY else OLDER):
                rows[count] = recent[place]
                count += 1
        for row in recent[:BRIDGED]:
            for other in similar[row, :BRIDGE_WIDTH]:
                if other >= 0 and _has_news(news, other, OLDER):
                    rows[count] = other
                    count += 1
    return rows[:count]


@compiled
def _has_news(news: News, row: int, growth: float) -> bool:
    return bool(news.waiting[row] and news.heard[row] >= growth * news.settled[row])
