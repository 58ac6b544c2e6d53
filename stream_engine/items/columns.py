"""The arrays behind the item view: one row an item, one array a fact."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Times = NDArray[np.float64]
Flags = NDArray[np.bool_]
RowNumbers = NDArray[np.int32]


class Pairs(NamedTuple):
    """What compiled loops read of how items go together; half precision as its bits."""

    neighbours: RowNumbers
    together: NDArray[np.uint16]
    lately: NDArray[np.uint16]
    after: NDArray[np.uint16]
    rarity: Floats
    clicks: Floats
    followers: RowNumbers
    follows: NDArray[np.uint16]
    followed: Floats
    similar: RowNumbers


class News(NamedTuple):
    """What compiled loops read of how much was heard of an item since its neighbours were written."""

    waiting: NDArray[np.bool_]
    heard: Floats
    settled: Floats


class Traits(NamedTuple):
    """What compiled loops read of the items themselves."""

    codes: NDArray[np.int8]
    steps: Floats
    norms: Floats
    has_vector: Flags
    clicks: Floats
    first_click: Times
    last_click: Times
    popularity: Floats


_STATISTICS = (
    *("counted", "first_click", "last_click", "clicks", "popularity", "rarity", "followed", "settled"),
    *("together", "lately", "after", "follows", "waiting", "heard"),
)


@dataclass
class Columns:
    """Equally long arrays; lists of other rows hold row numbers, -1 where there is none."""

    codes: NDArray[np.int8]  # (n, d) the encoder's unit vectors over `steps`
    steps: Floats
    norms: Floats  # of the vectors in the text space
    similar: RowNumbers  # (n, s) nearest by text, best first
    asked: NDArray[np.int32]  # how many items the catalogue had when `similar` was found
    hashes: NDArray[np.uint32]  # of the item ids
    has_vector: Flags
    known: Flags  # has a catalogue record
    counted: Flags  # has statistics
    shown: Flags  # has one, and is available
    first_seen: Times
    published_at: Times  # -inf where not given
    expires_at: Times  # inf where not given
    first_click: Times
    last_click: Times
    clicks: Floats
    popularity: Floats  # (n, half-lives), decayed to `last_click`
    rarity: Floats  # 1 / sqrt(1 + all pair weight)
    followed: Floats
    waiting: Flags  # whether more was heard since its neighbours were written
    heard: Floats  # all pair weight, as heard last
    settled: Floats  # and when the neighbours were written
    neighbours: RowNumbers  # (n, k), strongest first
    together: Halves  # (n, k)
    lately: Halves  # (n, k), decayed to the latest pair
    after: Halves  # (n, k)
    followers: RowNumbers  # (n, f)
    follows: Halves  # (n, f)

    @cached_property
    def pairs(self) -> Pairs:
        """Views of these arrays."""
        return Pairs(
            self.neighbours,
            self.together.view(np.uint16),
            self.lately.view(np.uint16),
            self.after.view(np.uint16),
            self.rarity,
            self.clicks,
            self.followers,
            self.follows.view(np.uint16),
            self.followed,
            self.similar,
        )

    @cached_property
    def traits(self) -> Traits:
        """Views of these arrays."""
        return Traits(
            self.codes,
            self.steps,
            self.norms,
            self.has_vector,
            self.clicks,
            self.first_click,
            self.last_click,
            self.popularity,
        )

    @cached_property
    def news(self) -> News:
        """Views of these arrays."""
        return News(self.waiting, self.heard, self.settled)

    @property
    def bytes_per_row(self) -> int:
        """What a row costs in these arrays."""
        return sum(array.itemsize * int(np.prod(array.shape[1:])) for array in self._arrays())

    def grown(self, rows: int) -> Columns:
        """The same with `rows` rows, the new ones blank."""
        return Columns(*(_grown(array, rows) for array in self._arrays()))

    def blank_row(self, row: int) -> None:
        """Make a row as if it had never been used."""
        for array in self._arrays():
            array[row] = 0
        for others in (self.neighbours, self.followers, self.similar):
            others[row] = -1

    def blank_statistics(self, row: int) -> None:
        """Make a row as if its item had never been clicked."""
        for name in _STATISTICS:
            getattr(self, name)[row] = 0
        for others in (self.neighbours, self.followers):
            others[row] = -1

    def forget(self, gone: Flags, within: slice) -> None:
        """Take mentions of rows that are `gone` out of these; its last flag, False, is for none and for later ones."""
        for others in (self.neighbours, self.followers, self.similar):
            mentioned = others[within]
            mentioned[gone[np.minimum(mentioned, len(gone) - 1)]] = -1

    def _arrays(self) -> list[NDArray[Any]]:
        return [getattr(self, field.name) for field in fields(self)]


def blank(*, dimensions: int, similar: int, neighbours: int, followers: int, half_lives: int) -> Columns:
    """No rows yet."""
    return Columns(
        codes=np.zeros((0, dimensions), np.int8),
        steps=np.zeros(0, np.float32),
        norms=np.zeros(0, np.float32),
        similar=np.zeros((0, similar), np.int32),
        asked=np.zeros(0, np.int32),
        hashes=np.zeros(0, np.uint32),
        has_vector=np.zeros(0, np.bool_),
        known=np.zeros(0, np.bool_),
        counted=np.zeros(0, np.bool_),
        shown=np.zeros(0, np.bool_),
        first_seen=np.zeros(0),
        published_at=np.zeros(0),
        expires_at=np.zeros(0),
        first_click=np.zeros(0),
        last_click=np.zeros(0),
        clicks=np.zeros(0, np.float32),
        popularity=np.zeros((0, half_lives), np.float32),
        rarity=np.zeros(0, np.float32),
        followed=np.zeros(0, np.float32),
        waiting=np.zeros(0, np.bool_),
        heard=np.zeros(0, np.float32),
        settled=np.zeros(0, np.float32),
        neighbours=np.zeros((0, neighbours), np.int32),
        together=np.zeros((0, neighbours), np.float16),
        lately=np.zeros((0, neighbours), np.float16),
        after=np.zeros((0, neighbours), np.float16),
        followers=np.zeros((0, followers), np.int32),
        follows=np.zeros((0, followers), np.float16),
    )


def _grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    # zeros cost no memory until they are written, so room to grow is nearly free
    larger = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
