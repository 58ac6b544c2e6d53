"""All items of the catalogue, side by side in arrays: what every worker ranks from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.bounded import BestFew, BestInTurn
from stream_engine.items.columns import blank
from stream_engine.items.hashes import HashIndex
from stream_engine.items.neighbours import Neighbours
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.space import fitted, plain
from stream_engine.items.statistics import ItemStatistics, Summary, decode_statistics, summary
from stream_engine.settings import StatisticsSettings
from stream_engine.vectors import Matrix, Vector, unit

Rows = NDArray[np.signedinteger[Any]]  # (n,) row numbers
SIMILAR = 16  # rows kept as nearest by text
_ROOM = 1_024  # rows at first
_POOL = 300  # rows kept at hand of the most popular and of the newest
_SHELF = 40  # and of each category
_SWEPT = 1_024  # rows cleaned at once of mentions of others: about a millisecond
_SPACE_ROWS = 4_096  # vectors the text space is fitted on
_SPACE_FIRST, _SPACE_LAST = 64, 40_000  # items at which it is first and about last fitted; in between at each doubling
_NEVER = 2**62


class ItemView:
    """A row for each item that the catalogue holds or that has statistics; without a catalogue record it is a stub.

    Stubs are never recommended. A row stands for its item until some time after both are gone; `columns` may be
    replaced by any change.
    """

    def __init__(self, dimensions: int, settings: StatisticsSettings, *, fingerprint: str = "") -> None:
        self.settings = settings
        self.fingerprint = fingerprint
        self.ids: list[str] = []
        self.categories: list[tuple[str, ...]] = []
        self.columns = blank(
            dimensions=dimensions,
            similar=SIMILAR,
            neighbours=settings.neighbours,
            followers=settings.followers,
            half_lives=len(settings.half_lives),
        ).grown(_ROOM)
        self.half_lives = np.array(settings.half_lives, np.float32)  # seconds
        self.space = plain(dimensions)
        self.trending = [BestFew(_POOL) for _ in settings.half_lives]
        self.popular = BestInTurn(self.trending)
        self.shelves: dict[str, BestFew] = {}  # the popular of a category
        self.category_sizes: Counter[str] = Counter()
        self.newest = BestFew(_POOL)  # by when they were taken up
        self.emerging = BestFew(_POOL)  # by their first click
        self._rows: dict[str, int] = {}
        self.row = self._rows.get  # where an item stands, stubs included; None if never heard of
        self._interned: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._released: set[int] = set()  # of nothing any more, other rows may still point to them
        self._reclaiming: Iterator[None] = iter(())
        self.reclaimed = 0  # times that rows were given to other items
        self._clean: list[int] = []  # ready for another item
        self._neighbours = Neighbours(self._rows.get, settings)
        self._hashes = HashIndex()
        self.timed = False  # whether any item ever had a time to appear or to go
        self._known = 0
        self.encoded = 0  # items with a vector: fewer than are known while those of another model are made again
        self._refit_at = _SPACE_FIRST

    def __len__(self) -> int:
        """How many items are in the catalogue."""
        return self._known

    def __contains__(self, item_id: str) -> bool:
        """Whether the catalogue holds the item."""
        row = self._rows.get(item_id)
        return row is not None and bool(self.columns.known[row])

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """The rows of those items that have one, in order."""
        return np.array([row for row in map(self.row, item_ids) if row is not None], dtype=np.int64)

    def rows_by_hash(self, hashes: NDArray[np.uint32]) -> Rows:
        """The rows of the items with these hashes."""
        return self._hashes.rows(hashes, self.columns.hashes[: len(self.ids)]).astype(np.int64, copy=False)

    def all_rows(self) -> Rows:
        """Every row of the catalogue; costs as much as the catalogue is long."""
        return np.flatnonzero(self.columns.known)

    def vectors(self, rows: Rows) -> Matrix:
        """The items' unit vectors, shape (n, d), zeros where there is none."""
        columns = self.columns
        vectors: Matrix = columns.codes[rows] * columns.steps[rows, None]
        return vectors

    def vector(self, item_id: str) -> Vector | None:
        """The item's unit vector, shape (d,), None if it has none."""
        row = self._rows.get(item_id)
        if row is None or not self.columns.has_vector[row]:
            return None
        vector: Vector = self.columns.codes[row] * self.columns.steps[row]
        return vector

    def put(self, record: CatalogueRecord) -> None:
        """Store or replace an item; a vector of another model is not taken."""
        row = self._row_for(record.item_id)
        columns = self.columns
        self._known += not columns.known[row]
        columns.known[row] = True
        columns.shown[row] = record.available
        columns.first_seen[row] = record.first_seen if record.published_at is None else record.published_at
        columns.published_at[row] = -math.inf if record.published_at is None else record.published_at
        columns.expires_at[row] = math.inf if record.expires_at is None else record.expires_at
        self.timed |= record.published_at is not None or record.expires_at is not None
        self._file(row, record.categories)
        self._place(row, record.vector if record.fingerprint == self.fingerprint else None)
        self._offer(row)

    def put_statistics(self, item_id: str, stats: ItemStatistics) -> None:
        """Store or replace what is known of an item's clicks; its neighbours are there once the row is settled."""
        self._count(self._row_for(item_id), stats, lambda: stats)

    def put_encoded(self, item_id: str, data: bytes) -> None:
        """The same of statistics as they are stored; raises PoisonEvent or NewerVersion."""
        self._count(self._row_for(item_id), summary(data), partial(decode_statistics, data))

    def _count(self, row: int, stats: Summary, whole: Callable[[], ItemStatistics]) -> None:
        columns = self.columns
        columns.counted[row] = True
        columns.rarity[row] = 1.0 / math.sqrt(1.0 + stats.pairs)
        columns.followed[row] = stats.followed
        if stats.clicks != columns.clicks[row]:
            columns.clicks[row] = stats.clicks
            columns.first_click[row] = stats.first_click
            columns.last_click[row] = stats.last_click
            if len(stats.popularity) == len(self.settings.half_lives):  # else they were others when it was counted
                columns.popularity[row] = stats.popularity
            self._offer(row)
        self._neighbours.note(columns, row, stats.pairs, whole)

    def settle(self, rows: Iterable[int]) -> None:
        """Bring these rows' neighbours and followers up to date."""
        self._neighbours.settle(self.columns, rows)

    def remember_similar(self, row: int, similar: Rows) -> None:
        """Keep what was found nearest to an item by text, best first."""
        kept = similar[similar != row][:SIMILAR]
        self.columns.similar[row, : len(kept)] = kept
        self.columns.similar[row, len(kept) :] = -1
        self.columns.asked[row] = self.encoded

    def remove(self, item_id: str) -> None:
        """Take an item out of the catalogue; unknown ids are ignored."""
        row = self._rows.get(item_id)
        if row is None or not self.columns.known[row]:
            return
        columns = self.columns
        self._known -= 1
        self.encoded -= int(columns.has_vector[row])
        columns.known[row] = columns.shown[row] = columns.has_vector[row] = False
        self._file(row, ())
        for best in (*self.trending, self.newest, self.emerging):
            best.forget(row)
        self._release(row)

    def forget_statistics(self, item_id: str) -> None:
        """Drop what is known of an item's clicks; unknown ids are ignored."""
        row = self._rows.get(item_id)
        if row is None:
            return
        self._neighbours.forget(row)
        self.columns.blank_statistics(row)
        for best in (*self.trending, self.emerging, *(self.shelves[name] for name in self.categories[row])):
            best.forget(row)
        self._release(row)

    def _release(self, row: int) -> None:
        """Let another item have the row, some time later, if nothing is left of this one."""
        if not (self.columns.known[row] or self.columns.counted[row]):
            self._released.add(row)

    def _offer(self, row: int) -> None:
        """Consider a row for the lists kept at hand."""
        columns = self.columns
        if not columns.known[row]:
            return
        self.newest.offer(row, float(columns.first_seen[row]))
        if not columns.clicks[row]:
            return
        self.emerging.offer(row, float(columns.first_click[row]))
        last = float(columns.last_click[row])
        # a count's logarithm moved to a common time: its order holds while time passes
        moved = [
            math.log2(max(count, 1e-30)) + last / half
            for count, half in zip(columns.popularity[row].tolist(), self.settings.half_lives, strict=True)
        ]
        for best, score in zip(self.trending, moved, strict=True):
            best.offer(row, score)
        for name in self.categories[row]:
            self.shelves[name].offer(row, moved[len(moved) // 2])

    def _file(self, row: int, categories: tuple[str, ...]) -> None:
        before = self.categories[row]
        for name in before:
            self.category_sizes[name] -= 1
            if name not in categories:
                self.shelves[name].forget(row)
        if len(self._interned) > _ROOM + 2 * len(self._rows):
            self._interned.clear()
        self.categories[row] = self._interned.setdefault(categories, categories)
        for name in categories:
            self.category_sizes[name] += 1
            self.shelves.setdefault(name, BestFew(_SHELF))
        for name in {name for name in before if not self.category_sizes[name]}:
            del self.category_sizes[name], self.shelves[name]

    def _place(self, row: int, vector: Vector | None) -> None:
        columns = self.columns
        given = unit(vector) if vector is not None else np.zeros(columns.codes.shape[1], np.float32)
        step = float(np.abs(given).max(initial=0.0)) / 127.0
        self.encoded += int(step > 0) - int(columns.has_vector[row])
        columns.has_vector[row] = step > 0
        columns.steps[row] = step
        columns.codes[row] = np.rint(given / step) if step > 0 else 0
        columns.asked[row] = 0
        columns.norms[row] = self.space.norms(self.vectors(np.array([row])))[0]
        if step > 0 and self.encoded >= self._refit_at:
            self._refit()

    def _refit(self) -> None:
        """Fit the text space to the catalogue as it is; what it changes is every item's norm."""
        rows = np.flatnonzero(self.columns.has_vector)
        self._refit_at = 2 * self.encoded if self.encoded < _SPACE_LAST else _NEVER
        self.space = fitted(self.vectors(rows[:: len(rows) // _SPACE_ROWS + 1]))
        for start in range(0, len(rows), _SPACE_ROWS):
            block = rows[start : start + _SPACE_ROWS]
            self.columns.norms[block] = self.space.norms(self.vectors(block))

    def _row_for(self, item_id: str) -> int:
        row = self._rows.get(item_id)
        if row is None:
            row = self._new_row()
            self._rows[item_id] = row
            self.ids[row] = item_id
            self.categories[row] = ()
            self.columns.blank_row(row)
            self.columns.hashes[row] = crc32(item_id.encode())
            self._hashes.note(row)
        return row

    def _new_row(self) -> int:
        has_ended = next(self._reclaiming, True)  # if not, a little more of it is done now
        if has_ended and len(self._released) > max(64, len(self.ids) // 50):
            self._reclaiming = self._reclaim()
            next(self._reclaiming, None)
        if self._clean:
            return self._clean.pop()
        row = len(self.ids)
        self.ids.append("")
        self.categories.append(())
        if row >= len(self.columns.known):
            self.columns = self.columns.grown(row * 3 // 2)
        return row

    def _reclaim(self) -> Iterator[None]:
        """Give back the released rows that did not come back, all at once, for it reads every neighbour: in pieces."""
        self.reclaimed += 1
        left = [row for row in self._released if not (self.columns.known[row] or self.columns.counted[row])]
        rows, self._released = len(self.ids), set()
        gone = np.zeros(rows + 1, np.bool_)
        gone[left] = True
        for row in left:
            del self._rows[self.ids[row]]
            self._neighbours.forget(row)
        for start in range(0, rows, _SWEPT):
            if start:
                yield
            self.columns.forget(gone, slice(start, start + _SWEPT))
        self._clean += left
