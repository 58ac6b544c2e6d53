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


class Interest(msgspec.Struct, frozen=True, array_like=True):
    """A decayed sum of unit vectors: its direction in int8, shape (d,), and its length in clicks."""

    direction: bytes
    length: float


def capacity(dimensions: int, limit: int) -> int:
    """How many interests of this size a state has room for, at most `limit`."""
    return min(limit, max(INTEREST_BYTES // dimensions, int(dimensions <= LARGEST)))


def directions(interests: Sequence[Interest]) -> Matrix:
    """Unit rows, shape (k, d)."""
    rows = _rows(interests)
    rows /= np.array(_norms(rows), np.float32)[:, None]
    return rows


def decayed(interests: Sequence[Interest], factor: float) -> tuple[Interest, ...]:
    """The same directions at `factor` times their lengths; those that have faded away are left out."""
    lengths = [interest.length * factor for interest in interests]
    return tuple(
        Interest(interest.direction, length)
        for interest, length in zip(interests, lengths, strict=True)
        if length > GONE
    )


def toward(
    interests: tuple[Interest, ...], vector: Vector, weight: float, *, limit: int, similarity: float, phase: int
) -> tuple[Interest, ...]:
    """With `weight` times the unit `vector` added: to the nearest at cosine ≥ `similarity`, else as a new interest."""
    if not limit:
        return ()
    added = vector * np.float32(weight)
    if not interests:
        return rounded(added, phase)
    rows = _rows(interests)
    norms = _norms(rows)
    cosine, nearest = _nearest(rows, norms, vector)
    if cosine < similarity and limit > 1:
        return reduced(interests, limit - 1, phase) + rounded(added, phase)
    total = _sum(rows, norms, interests, nearest) + added
    changed = interests[:nearest] + rounded(total, phase) + interests[nearest + 1 :]
    return reduced(changed, limit, phase)


def away(interests: tuple[Interest, ...], vector: Vector, weight: float, phase: int) -> tuple[Interest, ...]:
    """With `weight` times the unit `vector` taken from the nearest, at most until it no longer points there."""
    if not interests:
        return interests
    rows = _rows(interests)
    norms = _norms(rows)
    cosine, nearest = _nearest(rows, norms, vector)
    length = interests[nearest].length
    taken = min(weight, length * cosine)
    if taken <= 0:
        return interests
    rest = rounded(_sum(rows, norms, interests, nearest) - vector * np.float32(taken), phase)
    if rest and rest[0].length < SPENT * length:
        rest = ()
    return interests[:nearest] + rest + interests[nearest + 1 :]


def reduced(interests: tuple[Interest, ...], limit: int, phase: int) -> tuple[Interest, ...]:
    """At most `limit` of them, by merging the two that lose least length, again and again."""
    while len(interests) > max(limit, 1):
        rows = _rows(interests)
        norms = _norms(rows)
        one, other = _closest(rows, norms, interests)
        merged = _sum(rows, norms, interests, one) + _sum(rows, norms, interests, other)
        rest = interests[:one] + interests[one + 1 : other] + interests[other + 1 :]
        interests = rest + rounded(merged, phase)
    return interests[:limit]


def rounded(total: Vector, phase: int) -> tuple[Interest, ...]:
    """The sum as one interest; none when nothing is left of it. `phase` says how this rounding falls."""
    length = math.sqrt(float(total @ total))
    if not GONE < length < math.inf:
        return ()
    start = phase % PERIOD
    sizes = np.abs(total)
    scale = TOP / float(sizes[sizes.argmax()])
    steps = np.floor(total * scale + _THRESHOLDS[start : start + len(total)])
    return (Interest(steps.astype(np.int8).tobytes(), length),)


def _rows(interests: Sequence[Interest]) -> Matrix:
    """Directions as they are stored, of no particular length, shape (k, d)."""
    stored = np.frombuffer(b"".join([interest.direction for interest in interests]), np.int8)
    return stored.astype(np.float32).reshape(len(interests), -1)


def _norms(rows: Matrix) -> list[float]:
    return [math.sqrt(square) for square in np.einsum("ij,ij->i", rows, rows).tolist()]


def _sum(rows: Matrix, norms: list[float], interests: Sequence[Interest], place: int) -> Vector:
    """The sum one interest stands for."""
    total: Vector = rows[place] * np.float32(interests[place].length / norms[place])
    return total


def _nearest(rows: Matrix, norms: list[float], vector: Vector) -> tuple[float, int]:
    """Cosine and place of the interest nearest to a unit vector."""
    dots = (rows @ vector).tolist()
    return max((dot / norm, place) for place, (dot, norm) in enumerate(zip(dots, norms, strict=True)))


def _closest(rows: Matrix, norms: list[float], interests: Sequence[Interest]) -> tuple[int, int]:
    """The pair whose sum is least shorter than both together."""

    def loss(pair: tuple[int, int]) -> float:
        one, other = pair
        a, b = interests[one].length, interests[other].length
        cosine = float(np.vdot(rows[one], rows[other])) / (norms[one] * norms[other])
        return a + b - math.sqrt(max(a * a + b * b + 2 * a * b * cosine, 0.0))

    return min(combinations(range(len(interests)), 2), key=loss)
