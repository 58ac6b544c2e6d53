"""A small catalogue to rank from, told by clicks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream_engine.events import Source
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import updates_of
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.question import Question
from stream_engine.ranking.taste import Taste, taste_of
from stream_engine.settings import StatisticsSettings
from stream_engine.vectors import unit

NOW = 1_000_000.0
DIMENSIONS = 8


class Shop:
    """A view that hears of items and of the clicks of users, one per second before NOW."""

    def __init__(self, *item_ids: str) -> None:
        self.view = ItemView(DIMENSIONS, StatisticsSettings(), fingerprint="m")
        self._statistics: dict[str, ItemStatistics] = {}
        self._offset = 0
        for item_id in item_ids:
            self.stock(item_id)

    def stock(self, item_id: str, *direction: float, **fields: object) -> None:
        """An item; its vector is given by its first few components."""
        vector = np.zeros(DIMENSIONS, np.float32)
        vector[: len(direction)] = direction
        self.view.put(CatalogueRecord(item_id, vector=unit(vector) if direction else None, fingerprint="m", **fields))

    def clicks(self, *item_ids: str, at: float = NOW - 1_000.0) -> None:
        """One user's clicks, in order."""
        for place, item_id in enumerate(item_ids):
            before = list(dict.fromkeys(item_ids[:place][::-1]))
            source = Source("clicks", 0, self._offset)
            self._offset += 1
            for update in updates_of(item_id, before, source=source, timestamp=at + place, weight=1.0, fade=0.9):
                stats = observe(self._statistics.get(update.item_id), update, self.view.settings)
                self._statistics[update.item_id] = stats
                self.view.put_statistics(update.item_id, stats)

    def taste(self, *items: str, ago: float = 10.0, **fields: object) -> Taste:
        """Someone who had these, the newest first, and the last `ago` seconds ago."""
        given = {
            "times": tuple(int(NOW - ago - place) for place in range(len(items))),
            "liked": (True,) * len(items),
            "interactions": len(items),
            "size": 5,
        }
        taste = taste_of(self.view, Question("u", NOW, items, **given | fields))
        self.view.settle(taste.recent.tolist())
        return taste

    def named(self, rows: Rows | Sequence[int]) -> list[str]:
        """The ids of rows, without the places where there is none."""
        return [self.view.ids[row] for row in rows if row >= 0]
