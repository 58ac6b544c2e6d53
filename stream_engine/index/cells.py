"""Rows of similar vectors together in cells, each with a short sketch: a search looks into the nearest cells only."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_engine.vectors import Matrix, Vector

Rows = NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)

SKETCH = 64  # numbers that stand for a vector
SIZE = 512  # rows a cell holds; a full one is split in two
FIT_ON = 20_000  # vectors the basis is fitted to
STEPS = 8  # in which a full cell is parted in two
SMALLEST = 64  # rows of the smaller part
FEWEST = 32  # rows a cell is kept for; fewer go to the cells nearest to them
FAITHFUL = 0.5  # of the vectors' energy that sketches must keep to be of use


def fitted(vectors: Matrix) -> Matrix | None:
    """The directions that tell these vectors apart best, shape (d, sketch); None where few do not tell enough."""
    sample = vectors[np.random.default_rng(0).integers(0, len(vectors), FIT_ON)]
    energies, directions = np.linalg.eigh(sample.T @ sample)
    kept = energies[-SKETCH:].sum()
    if kept < FAITHFUL * energies.sum():
        return None
    return np.ascontiguousarray(directions[:, -SKETCH:])


class Cells:
    """Sketches of rows, by cell; whoever moves a row tells."""

    def __init__(self, basis: Matrix) -> None:
        self._basis = basis
        width = basis.shape[1]
        self._sketches = np.zeros((1, SIZE, width), dtype=np.float32)  # by cell and slot
        self._rows = np.zeros((1, SIZE), dtype=np.int64)
        self._counts = np.zeros(1, dtype=np.int64)
        self._centres = np.zeros((1, width), dtype=np.float32)
        self._used = 1  # cells
        self._places = np.zeros((0, 2), dtype=np.int64)  # cell and slot, by row

    def add(self, rows: Rows, vectors: Matrix) -> None:
        """Take in new rows."""
        if rows.size and int(rows.max()) >= len(self._places):
            self._places = _longer(self._places, int(rows.max()) + 1)
        self._put(rows, vectors @ self._basis)

    def _put(self, rows: Rows, sketches: Matrix) -> None:
        nearest = self._nearest(sketches, self._centres[: self._used])
        for row, sketch, cell in zip(rows.tolist(), sketches, nearest.tolist(), strict=True):
            if self._counts[cell] == SIZE:
                halves = [cell, self._split(cell)]
                cell = halves[int(self._nearest(sketch[None], self._centres[halves])[0])]  # noqa: PLW2901
            slot = int(self._counts[cell])
            self._sketches[cell, slot] = sketch
            self._rows[cell, slot] = row
            self._places[row] = cell, slot
            self._counts[cell] += 1

    def remove(self, row: int) -> None:
        """Drop a row; the last of its cell takes its slot."""
        cell, slot = self._places[row].tolist()
        last = int(self._counts[cell]) - 1
        moved = self._rows[cell, last]
        self._sketches[cell, slot] = self._sketches[cell, last]
        self._rows[cell, slot] = moved
        self._places[moved] = cell, slot
        self._counts[cell] = last
        if last < FEWEST and self._used > 1:
            self._dissolve(cell)

    def _dissolve(self, cell: int) -> None:
        """Its rows go to other cells, the last cell takes its number: as a catalogue changes, cells are left behind."""
        last, count = self._used - 1, int(self._counts[cell])
        rows, sketches = self._rows[cell, :count].copy(), self._sketches[cell, :count].copy()
        for array in (self._sketches, self._rows, self._counts, self._centres):
            array[cell] = array[last]
        self._places[self._rows[cell, : self._counts[cell]], 0] = cell
        self._counts[last] = 0
        self._used = last
        self._put(rows, sketches)

    def rename(self, row: int, to: int) -> None:
        """The same vector under another number, which is free."""
        cell, slot = self._places[row].tolist()
        self._rows[cell, slot] = to
        self._places[to] = cell, slot

    def near(self, query: Vector, *, look_at: int, keep: int) -> Rows:
        """The `keep` rows whose sketches are nearest, of about `look_at` in the nearest cells."""
        sketch = query @ self._basis
        cells = _highest(
            self._centres[: self._used] @ sketch, 1 + look_at * self._used // max(1, self._held())
        ).tolist()
        counts = self._counts[cells].tolist()
        parts = list(zip(cells, counts, strict=True))
        scores = np.concatenate([self._sketches[cell, :count] @ sketch for cell, count in parts])
        rows = np.concatenate([self._rows[cell, :count] for cell, count in parts])
        return rows[_highest(scores, keep)]

    def _held(self) -> int:
        return int(self._counts.sum())

    @staticmethod
    def _nearest(sketches: Matrix, centres: Matrix) -> Rows:
        nearest: Rows = np.argmax(sketches @ centres.T - 0.5 * np.einsum("ij,ij->i", centres, centres), axis=1)
        return nearest

    def _split(self, cell: int) -> int:
        """Half of a full cell moves to a new one: the half that lies to one side of where it is spread most."""
        new = self._used
        if new == len(self._counts):
            self._sketches, self._rows = _longer(self._sketches, new + 1), _longer(self._rows, new + 1)
            self._counts, self._centres = _longer(self._counts, new + 1), _longer(self._centres, new + 1)
        self._used += 1
        sketches, rows = self._sketches[cell].copy(), self._rows[cell].copy()
        beyond = _halved(sketches)
        for target, members in ((cell, np.flatnonzero(~beyond)), (new, np.flatnonzero(beyond))):
            count = len(members)
            self._sketches[target, :count] = sketches[members]
            self._rows[target, :count] = rows[members]
            self._counts[target] = count
            self._centres[target] = sketches[members].mean(axis=0)
            self._places[rows[members], 0] = target
            self._places[rows[members], 1] = np.arange(count)
        return new


def _halved(sketches: Matrix) -> NDArray[np.bool_]:
    """Which belong to the second of two groups of similar ones, neither of them small."""
    spread = sketches - sketches.mean(axis=0)
    direction = spread[np.argmax(np.einsum("ij,ij->i", spread, spread))]
    along = spread @ direction
    for _ in range(STEPS):
        order = np.argsort(along, kind="stable")
        turn = int(np.clip(np.count_nonzero(along < 0), SMALLEST, len(along) - SMALLEST))
        first, second = spread[order[:turn]].mean(axis=0), spread[order[turn:]].mean(axis=0)
        along = (spread - (first + second) / 2) @ (second - first)
    beyond = np.zeros(len(along), dtype=np.bool_)
    beyond[order[turn:]] = True
    return beyond


def _highest(scores: Vector, count: int) -> Rows:
    """Places of the highest, in no order."""
    if count >= len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[len(scores) - count :]


def _longer(array: NDArray[Kind], needed: int) -> NDArray[Kind]:
    """A copy with room for as many, and half as many again."""
    grown = np.zeros((needed * 3 // 2 + 8, *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
