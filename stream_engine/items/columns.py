"""The arrays behind the item view: one row an item, one array a fact."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Times = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Columns:
    """Equally long arrays; neighbours are row numbers, -1 where there is none."""

    vectors: Halves  # (n, d)
    hashes: NDArray[np.uint32]  # of the item ids
    has_vector: Flags
    known: Flags  # has a catalogue record
    available: Flags
    first_seen: Times
    published_at: Times  # -inf where not given
    expires_at: Times  # inf where not given
    updated: Times
    first_click: Times
    last_click: Times
    clicks: Floats
    popularity: Floats  # (n, half-lives), decayed to `updated`
    pairs: Floats
    followed: Floats
    neighbours: NDArray[np.int32]  # (n, k)
    together: Halves  # (n, k)
    lately: Halves  # (n, k), decayed to `updated`
    follows: Halves  # (n, k)

    @property
    def bytes_per_row(self) -> int:
        """What a row costs in these arrays."""
        return sum(array.itemsize * int(np.prod(array.shape[1:])) for array in self._arrays())

    def grown(self, rows: int) -> Columns:
        """The same with `rows` rows, the new ones blank."""
        return Columns(*(_grown(array, rows) for array in self._arrays()))

    def clear(self, rows: list[int]) -> None:
        """Make rows blank, and every neighbour that points to them."""
        for array in self._arrays():
            array[rows] = 0
        self.neighbours[rows] = -1
        gone = np.isin(self.neighbours, rows)
        self.neighbours[gone] = -1
        for weights in (self.together, self.lately, self.follows):
            weights[gone] = 0

    def _arrays(self) -> list[NDArray[Any]]:
        return [getattr(self, field.name) for field in fields(self)]


def blank(*, dimensions: int, neighbours: int, half_lives: int) -> Columns:
    """No rows yet."""
    return Columns(
        vectors=np.zeros((0, dimensions), np.float16),
        hashes=np.zeros(0, np.uint32),
        has_vector=np.zeros(0, np.bool_),
        known=np.zeros(0, np.bool_),
        available=np.zeros(0, np.bool_),
        first_seen=np.zeros(0),
        published_at=np.zeros(0),
        expires_at=np.zeros(0),
        updated=np.zeros(0),
        first_click=np.zeros(0),
        last_click=np.zeros(0),
        clicks=np.zeros(0, np.float32),
        popularity=np.zeros((0, half_lives), np.float32),
        pairs=np.zeros(0, np.float32),
        followed=np.zeros(0, np.float32),
        neighbours=np.zeros((0, neighbours), np.int32),
        together=np.zeros((0, neighbours), np.float16),
        lately=np.zeros((0, neighbours), np.float16),
        follows=np.zeros((0, neighbours), np.float16),
    )


def _grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    # zeros cost no memory until they are written, so room to grow is nearly free
    larger = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
