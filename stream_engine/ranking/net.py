"""The score of a candidate as compiled loops compute it, and what each feature adds to it.

score = w·f + v·relu(A [f, facts] + b)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.ranking.features import COMPARED, FEATURES, Facts, Features

Scores = NDArray[np.float32]

HIDDEN = 16
LARGEST = 8.0  # feature; what lies beyond is an outlier
_COMPARED = np.array([FEATURES.index(name) for name in COMPARED])
_BEHIND = np.array([FEATURES.index(f"{name}_behind") for name in COMPARED])


class Net(NamedTuple):
    """The weights as compiled loops read them."""

    w: NDArray[np.float32]  # of the linear part
    a: NDArray[np.float32]  # (features, HIDDEN)
    of_facts: NDArray[np.float32]  # (facts, HIDDEN)
    b: NDArray[np.float32]
    v: NDArray[np.float32]


@compiled
def scores_of(net: Net, table: Features, facts: Facts) -> Scores:
    """One finite score a line: w·f + v·relu(A [f, facts] + b)."""
    columns = np.empty((table.shape[1], len(table)), np.float32)  # so that all lines take each step at once
    for feature in range(len(columns)):
        columns[feature] = table[:, feature]
        for at in range(len(table)):
            columns[feature, at] = _tame(columns[feature, at])
    scores, sums, start = np.zeros(len(table), np.float32), np.empty(len(table), np.float32), _start(net, facts)
    for feature in range(len(columns)):
        _add(scores, columns[feature], net.w[feature])
    for unit in range(HIDDEN):
        sums[:] = start[unit]
        for feature in range(len(columns)):
            _add(sums, columns[feature], net.a[feature, unit])
        for at in range(len(sums)):
            sums[at] = max(sums[at], np.float32(0.0))
        _add(scores, sums, net.v[unit])
    return scores


@compiled
def _add(sums: NDArray[np.float32], column: NDArray[np.float32], weight: np.float32) -> None:
    """Add so many times the column."""
    for at in range(len(sums)):
        sums[at] += weight * column[at]


@compiled
def shares_of(net: Net, table: Features, facts: Facts) -> Features:
    """What each feature adds to each line's score, same shape; the units that are on pass shares through.

    The slope of the score in the feature, times the feature. Being behind the best is the feature itself but for a
    number that is the same for all, so it counts there.
    """
    shares, units, start = np.empty_like(table), np.empty(HIDDEN, np.float32), _start(net, facts)
    slopes = np.empty(len(net.w), np.float32)
    for at in range(len(table)):
        line, share = table[at], shares[at]
        _fill(units, line, net, start)
        for unit in range(HIDDEN):
            units[unit] = net.v[unit] if units[unit] > 0 else np.float32(0.0)
        for feature in range(len(slopes)):
            slope, weights = net.w[feature], net.a[feature]
            for unit in range(HIDDEN):
                slope += units[unit] * weights[unit]
            slopes[feature] = slope
        for place in range(len(_COMPARED)):
            slopes[_COMPARED[place]] += slopes[_BEHIND[place]]
            slopes[_BEHIND[place]] = 0.0
        for feature in range(len(slopes)):
            share[feature] = _tame(line[feature]) * slopes[feature]
    return shares


@compiled
def _start(net: Net, facts: Facts) -> NDArray[np.float32]:
    """What the facts make of the units, the same for every candidate."""
    start = net.b.copy()
    for fact in range(len(facts)):
        for unit in range(HIDDEN):
            start[unit] += _tame(facts[fact]) * net.of_facts[fact, unit]
    return start


@compiled
def _fill(units: NDArray[np.float32], line: NDArray[np.float32], net: Net, start: NDArray[np.float32]) -> None:
    """Put into the units what they are before they are cut off at zero."""
    units[:] = start
    for feature in range(len(line)):
        value, weights = _tame(line[feature]), net.a[feature]
        for unit in range(HIDDEN):
            units[unit] += value * weights[unit]


@compiled
def _tame(value: np.float32) -> np.float32:
    """No NaN, nothing beyond LARGEST."""
    if value != value:  # noqa: PLR0124 - NaN
        return np.float32(0.0)
    return min(max(value, np.float32(-LARGEST)), np.float32(LARGEST))
