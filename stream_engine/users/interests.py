"""A user's interests: decayed sums of the vectors they acted on, kept in a byte a component.

The newest vector joins the interest it is nearest to, or opens one; room is made by merging the pair that loses
least length, which is how spherical k-means is judged (Dhillon & Modha 2001: sum of the lengths of the sums).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.vectors import Matrix, Vector

GONE = 1e-9  # a length nothing will ever notice
SPENT = 0.3  # of its length left after a negative event: what made it an interest is gone
INTEREST_BYTES = 1_536
LARGEST = 3_072  # dimensions; a longer vector would fill a state by itself
PERIOD = 1_024
TOP = 126.99

# Rounding up from a threshold that wanders evenly over [0, 1) keeps small changes from being swallowed step after step,
# as rounding to nearest does (measured over 300 clicks of a tenth of a weight: cosine .9997 to the exact sum, not .59).
# The largest component nearly always lands on 127, so the scale stays put and the errors of successive steps cancel.
_THRESHOLDS = np.modf(np.arange(PERIOD + LARGEST) * ((math.sqrt(5) - 1) / 2))[0].astype(np.float32)


Steps = NDArray[np.int8]


class Interest(msgspec.Struct, frozen=True, array_like=True):
    """A decayed sum of unit vectors: its direction in int8, shape (d,), and its length in clicks."""

    direction: bytes
    length: float


def capacity(dimensions: int, limit: int) -> int:
    """How many interests of this size a state has room for, at most `limit`."""
    return min(limit, max(INTEREST_BYTES // dimensions, int(dimensions <= LARGEST)))


def directions(interests: Sequence[Interest]) -> Matrix:
    """Unit rows, shape (k, d); (0, 0) when there are none."""
    return _units(_rows(interests)) if interests else np.zeros((0, 0), np.float32)


def decayed(interests: Sequence[Interest], factor: float) -> tuple[Interest, ...]:
    """The same directions at `factor` times their lengths; those that have faded away are left out."""
    kept = [(interest.direction, interest.length * factor) for interest in interests]
    return tuple([Interest(direction, length) for direction, length in kept if length > GONE])


def toward(
    interests: tuple[Interest, ...], vector: Vector, weight: float, *, limit: int, similarity: float, phase: int
) -> tuple[Interest, ...]:
    """With `weight` times the unit `vector` added: to the nearest at cosine ≥ `similarity`, else as a new interest."""
    if not limit:
        return ()
    if not interests:
        return rounded(vector * weight, phase)
    rows = _rows(interests)
    cosine, nearest = _nearest(rows, vector)
    if cosine < similarity and limit > 1:
        return reduced(interests, limit - 1, phase) + rounded(vector * weight, phase)
    total = _moved(rows, nearest, interests[nearest].length, vector, weight)
    changed = interests[:nearest] + rounded(total, phase) + interests[nearest + 1 :]
    return reduced(changed, limit, phase)


def away(interests: tuple[Interest, ...], vector: Vector, weight: float, phase: int) -> tuple[Interest, ...]:
    """With `weight` times the unit `vector` taken from the nearest, at most until it no longer points there."""
    if not interests:
        return interests
    rows = _rows(interests)
    cosine, nearest = _nearest(rows, vector)
    length = interests[nearest].length
    taken = min(weight, length * cosine)
    if taken <= 0:
        return interests
    rest = rounded(_moved(rows, nearest, length, vector, -taken), phase)
    if rest and rest[0].length < SPENT * length:
        rest = ()
    return interests[:nearest] + rest + interests[nearest + 1 :]


def reduced(interests: tuple[Interest, ...], limit: int, phase: int) -> tuple[Interest, ...]:
    """At most `limit` of them, by merging the two that lose least length, again and again."""
    while len(interests) > max(limit, 1):
        rows = _rows(interests)
        one, other = _closest(rows, interests)
        merged = _sum(rows, one, interests[one].length) + _sum(rows, other, interests[other].length)
        rest = interests[:one] + interests[one + 1 : other] + interests[other + 1 :]
        interests = rest + rounded(merged, phase)
    return interests[:limit]


def rounded(total: Vector, phase: int) -> tuple[Interest, ...]:
    """The sum as one interest; none when nothing is left of it. `phase` says how this rounding falls."""
    length = math.sqrt(float(total @ total))
    if not GONE < length < math.inf:
        return ()
    return (Interest(_steps(total, phase % PERIOD).tobytes(), length),)


def _rows(interests: Sequence[Interest]) -> Steps:
    """Directions as they are stored, of no particular length, shape (k, d)."""
    stored = np.frombuffer(b"".join([interest.direction for interest in interests]), np.int8)
    return stored.reshape(len(interests), -1)


def _closest(rows: Steps, interests: Sequence[Interest]) -> tuple[int, int]:
    """The pair whose sum is least shorter than both together."""

    def loss(pair: tuple[int, int]) -> float:
        one, other = pair
        a, b = interests[one].length, interests[other].length
        return a + b - math.sqrt(max(a * a + b * b + 2 * a * b * _cosine(rows, one, other), 0.0))

    return min(combinations(range(len(interests)), 2), key=loss)


@compiled
def _cosine(rows: Steps, one: int, other: int) -> float:
    product = 0
    for component in range(rows.shape[1]):
        product += int(rows[one, component]) * int(rows[other, component])
    return product / (_norm(rows[one]) * _norm(rows[other]))


@compiled
def _nearest(rows: Steps, vector: Vector) -> tuple[float, int]:
    """Cosine and place of the interest nearest to a unit vector."""
    best, place = -np.inf, 0
    for row in range(len(rows)):
        dot = np.float32(0.0)
        for component in range(len(vector)):
            dot += np.float32(rows[row, component]) * vector[component]
        cosine = float(dot) / _norm(rows[row])
        if cosine >= best:
            best, place = cosine, row
    return best, place


@compiled
def _sum(rows: Steps, place: int, length: float) -> Vector:
    """The sum one interest stands for."""
    scale = np.float32(length / _norm(rows[place]))
    total = np.empty(rows.shape[1], np.float32)
    for component in range(len(total)):
        total[component] = np.float32(rows[place, component]) * scale
    return total


@compiled
def _moved(rows: Steps, place: int, length: float, vector: Vector, weight: float) -> Vector:
    """The sum one interest stands for, and `weight` times a vector."""
    total, added = _sum(rows, place, length), vector * np.float32(weight)
    return total + added


@compiled
def _units(rows: Steps) -> Matrix:
    """The rows at length 1."""
    scaled = np.empty(rows.shape, np.float32)
    for row in range(len(rows)):
        norm = np.float32(_norm(rows[row]))
        for component in range(rows.shape[1]):
            scaled[row, component] = np.float32(rows[row, component]) / norm
    return scaled


@compiled
def _norm(row: Steps) -> float:
    square = 0
    for component in range(len(row)):
        square += int(row[component]) ** 2
    return math.sqrt(square)


@compiled
def _steps(total: Vector, start: int) -> Steps:
    """The sum's direction in int8, rounded by the thresholds from `start` on."""
    largest = np.float32(0.0)
    for component in range(len(total)):
        largest = max(largest, abs(total[component]))
    scaled = total * np.float32(TOP / float(largest))
    steps = np.empty(len(total), np.int8)
    for component in range(len(total)):
        steps[component] = np.int8(np.floor(scaled[component] + _THRESHOLDS[start + component]))
    return steps
