"""All items of the catalogue, side by side in arrays: what every worker ranks from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.bounded import BestFew
from stream_engine.items.columns import blank
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.statistics import ItemStatistics, strongest_neighbours
from stream_engine.settings import StatisticsSettings

Rows = NDArray[np.int64]  # (n,) row numbers
_POOL = 300  # rows kept at hand of the most popular and of the newest
_NEVER = -math.inf


class ItemView:
    """Rows of items; a row without a catalogue record is a stub and never recommended.

    Row numbers hold until the next `put`, `put_statistics` or `remove`.
    """

    def __init__(self, dimensions: int, settings: StatisticsSettings, *, fingerprint: str = "") -> None:
        self.settings = settings
        self.fingerprint = fingerprint
        self.ids: list[str] = []
        self.categories: list[tuple[str, ...]] = []
        self.columns = blank(dimensions=dimensions, neighbours=settings.neighbours, half_lives=len(settings.half_lives))
        self.trending = [BestFew(_POOL) for _ in settings.half_lives]
        self.newest = BestFew(_POOL)
        self._rows: dict[str, int] = {}
        self._interned: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._released: list[int] = []  # removed, other rows may still point to them
        self._clean: list[int] = []  # ready for another item
        self._known = 0

    def __len__(self) -> int:
        """How many items are in the catalogue."""
        return self._known

    def __contains__(self, item_id: str) -> bool:
        """Whether the catalogue holds the item."""
        row = self.row(item_id)
        return row is not None and bool(self.columns.known[row])

    def row(self, item_id: str) -> int | None:
        """Where an item stands, stubs included; None if never heard of."""
        return self._rows.get(item_id)

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """The rows of those items that have one, in order."""
        found = (self._rows.get(item_id) for item_id in item_ids)
        return np.array([row for row in found if row is not None], dtype=np.int64)

    def all_rows(self) -> Rows:
        """Every row of the catalogue; costs as much as the catalogue is long."""
        return np.flatnonzero(self.columns.known)

    def vector(self, item_id: str) -> NDArray[np.float32] | None:
        """The item's unit vector, shape (d,), None if it has none."""
        row = self._rows.get(item_id)
        if row is None or not self.columns.has_vector[row]:
            return None
        vector: NDArray[np.float32] = self.columns.vectors[row].astype(np.float32)
        return vector

    def put(self, record: CatalogueRecord) -> None:
        """Store or replace an item; a vector of another model is not taken."""
        row = self._row_for(record.item_id)
        columns = self.columns
        self._known += not columns.known[row]
        columns.known[row] = True
        columns.available[row] = record.available
        columns.first_seen[row] = record.first_seen if record.published_at is None else record.published_at
        columns.published_at[row] = -math.inf if record.published_at is None else record.published_at
        columns.expires_at[row] = math.inf if record.expires_at is None else record.expires_at
        self.categories[row] = self._interned.setdefault(record.categories, record.categories)
        usable = record.vector is not None and record.fingerprint == self.fingerprint
        columns.has_vector[row] = usable
        columns.vectors[row] = record.vector if usable else 0.0
        self.newest.offer(row, float(columns.first_seen[row]))

    def put_statistics(self, item_id: str, stats: ItemStatistics) -> None:
        """Store or replace what is known of an item's clicks."""
        strongest = strongest_neighbours(stats, self.settings.neighbours)
        others = [self._row_for(other) for other in strongest]
        row = self._row_for(item_id)
        columns = self.columns
        columns.neighbours[row] = -1
        columns.neighbours[row, : len(others)] = others
        weights = np.zeros((3, self.settings.neighbours), np.float32)
        weights[:, : len(others)] = np.array(list(strongest.values()), np.float32).reshape(-1, 3).T
        columns.together[row], columns.lately[row], columns.follows[row] = weights
        columns.updated[row] = stats.updated
        columns.clicks[row] = stats.clicks
        columns.first_click[row] = stats.first_click
        columns.last_click[row] = stats.last_click
        columns.popularity[row] = stats.popularity
        columns.pairs[row] = stats.pairs
        columns.followed[row] = stats.followed
        for best, count, half_life in zip(self.trending, stats.popularity, self.settings.half_lives, strict=True):
            # the count's logarithm moved to a common time, so that its order holds while time passes
            best.offer(row, math.log2(count) + stats.updated / half_life if count > 0 else _NEVER)

    def remove(self, item_id: str) -> None:
        """Take an item out of the catalogue; unknown ids are ignored. Its row is used again later."""
        row = self._rows.get(item_id)
        if row is None or not self.columns.known[row]:
            return
        columns = self.columns
        self._known -= 1
        columns.known[row] = columns.available[row] = columns.has_vector[row] = False
        for best in (*self.trending, self.newest):
            best.forget(row)
        self._released.append(row)

    def _row_for(self, item_id: str) -> int:
        row = self._rows.get(item_id)
        if row is None:
            row = self._new_row()
            self._rows[item_id] = row
            self.ids[row] = item_id
            self.categories[row] = ()
            self.columns.hashes[row] = crc32(item_id.encode())
        return row

    def _new_row(self) -> int:
        if len(self._released) > max(64, len(self.ids) // 50):
            self._reclaim()
        if self._clean:
            return self._clean.pop()
        row = len(self.ids)
        self.ids.append("")
        self.categories.append(())
        if row >= len(self.columns.known):
            self.columns = self.columns.grown(max(1024, row * 3 // 2))
        return row

    def _reclaim(self) -> None:
        """Blank the removed rows that did not come back, all at once: it reads every neighbour."""
        gone = [row for row in set(self._released) if not self.columns.known[row]]
        self.columns.clear(gone)
        for row in gone:
            del self._rows[self.ids[row]]
        self._clean += sorted(gone)
        self._released = []
