"""The score of a candidate, learnt click by click: linear, plus a few hidden units.

    score = w·f + v·relu(A [f, facts] + b)

Softmax over the candidates, the clicked one is the answer; AdaGrad (Duchi et al., JMLR 2011); each sample is learnt
once when it comes and a few old ones again (experience replay, Lin 1992).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import astuple
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.events import Interaction
from stream_engine.ranking.features import COMPARED, FACTS, FEATURES, Facts, Features
from stream_engine.ranking.habits import Habits, noticed
from stream_engine.users import UserState

Scores = NDArray[np.float32]

HIDDEN = 16
STEP = 0.3  # of the linear weights
HIDDEN_STEP = 0.05  # of the rest
REPLAYED = 3
KEPT = 600  # samples to replay from, at half precision
LARGEST = 8.0  # feature; what lies beyond is an outlier
STEEPEST = 4.0  # length of one sample's gradient

START: Mapping[str, float] = {
    "together": 0.6,
    "with_last": 0.3,
    "lately": 0.3,
    "after": 0.4,
    "follows": 0.4,
    "bridge": 0.2,
    "popular_day": 0.4,
    "popular_week": 0.4,
    "like_profile": 2.0,
    "like_last": 1.5,
    "like_interest": 0.5,
    "again": -1.0,
    "idle": -0.1,
}


_COMPARED = np.array([FEATURES.index(name) for name in COMPARED])
_BEHIND = np.array([FEATURES.index(f"{name}_behind") for name in COMPARED])


class Sample(NamedTuple):
    """A question with its answer: the position of the clicked candidate."""

    table: Features
    facts: Facts
    answer: int


class Net(NamedTuple):
    """The weights as compiled loops read them."""

    w: NDArray[np.float32]  # of the linear part
    a: NDArray[np.float32]  # (features, HIDDEN)
    of_facts: NDArray[np.float32]  # (facts, HIDDEN)
    b: NDArray[np.float32]
    v: NDArray[np.float32]


class _Wire(msgspec.Struct, array_like=True):
    version: int
    names: tuple[str, ...]
    samples: int
    weights: bytes
    squares: bytes
    habits: tuple[float, float, float]


class Ranker:
    """Scores candidates; starts with weights that work without any data, and learns."""

    def __init__(self, seed: int = 7, *, without: Collection[str] = ()) -> None:
        self._rng = np.random.default_rng(seed)
        self._kept: list[tuple[NDArray[np.float16], Facts, int]] = []
        self._replayed = 0 if "replay" in without else REPLAYED
        self.samples = 0
        self.habits = Habits()
        width = len(FEATURES) + len(FACTS)
        self._sizes = (len(FEATURES), HIDDEN * width, HIDDEN, HIDDEN)
        self._weights = np.zeros(sum(self._sizes), np.float32)
        self._squares = np.full(len(self._weights), 1e-2, np.float32)
        self._steps = np.full(len(self._weights), HIDDEN_STEP, np.float32)
        self._steps[: len(FEATURES)] = STEP
        w, a, _, v = self._now = self._parts(self._weights)
        w[:] = [START.get(name, 0.0) for name in FEATURES]
        a[:] = self._rng.normal(scale=0.2, size=a.shape)
        v[:] = self._rng.normal(scale=0.05, size=v.shape)
        self._net: Net | None = None  # made again after weights changed
        self._leave_out(without)

    def _leave_out(self, names: Collection[str]) -> None:
        """What starts at zero and takes no steps stays out."""
        left_out = np.array([name in names or ("facts" in names and name in FACTS) for name in (*FEATURES, *FACTS)])
        for flat in (self._weights, self._steps):
            w, a, _, v = self._parts(flat)
            w[left_out[: len(FEATURES)]] = 0.0
            a[:, left_out] = 0.0
            v *= "hidden" not in names

    @property
    def version(self) -> str:
        """Names the kind of ranker, for the lists it makes."""
        return f"net-{len(FEATURES)}-{HIDDEN}"

    @property
    def weights(self) -> dict[str, float]:
        """The linear weights by feature."""
        return dict(zip(FEATURES, self._now[0].tolist(), strict=True))

    @property
    def net(self) -> Net:
        """What scores now."""
        if self._net is None:
            w, a, b, v = self._now
            turned = np.ascontiguousarray(a.T)
            self._net = Net(w, turned[: len(w)], turned[len(w) :], b, v)
        return self._net

    def learn(self, sample: Sample) -> None:
        """Learn from this sample, and again from a few old ones."""
        tamed = Sample(_tamed(sample.table), _tamed(sample.facts), sample.answer)
        self.samples += 1
        self._net = None
        self._step(tamed)
        for _ in range(min(self._replayed, len(self._kept))):
            table, facts, answer = self._kept[self._rng.integers(len(self._kept))]
            self._step(Sample(table.astype(np.float32), facts, answer))
        small = (tamed.table.astype(np.float16), tamed.facts, tamed.answer)
        if len(self._kept) < KEPT:
            self._kept.append(small)
        else:
            self._kept[self.samples % KEPT] = small

    def notice(self, interaction: Interaction, before: UserState | None) -> None:
        """Learn from a click whether people come back to what they had."""
        if before is not None and interaction.item_id is not None:
            times = np.frombuffer(before.times, "<u4")[::-1]
            self.habits = noticed(self.habits, interaction.item_id, interaction.timestamp, before.items[::-1], times)

    def snapshot(self) -> bytes:
        """What was learnt, versioned."""
        wire = _Wire(
            1,
            (*FEATURES, *FACTS),
            self.samples,
            self._weights.astype("<f4").tobytes(),
            self._squares.astype("<f4").tobytes(),
            astuple(self.habits),
        )
        return msgspec.msgpack.encode(wire)

    def merge(self, snapshots: Mapping[str, bytes]) -> None:
        """Average with what others learnt, by how much each did; snapshots that do not fit are ignored."""
        fitting = [wire for data in snapshots.values() if (wire := self._fitting(data)) is not None]
        total = self.samples + sum(wire.samples for wire in fitting)
        if not fitting or not total:
            return
        own = (self.samples / total, self._weights, self._squares, np.array(astuple(self.habits)))
        others = [
            (
                wire.samples / total,
                np.frombuffer(wire.weights, "<f4"),
                np.frombuffer(wire.squares, "<f4"),
                np.array(wire.habits),
            )
            for wire in fitting
        ]
        shares, weights, squares, habits = zip(own, *others, strict=True)
        self._weights = np.average(weights, axis=0, weights=shares).astype(np.float32)
        self._now, self._net = self._parts(self._weights), None
        self._squares = np.average(squares, axis=0, weights=shares).astype(np.float32)
        self.habits = Habits(*np.average(habits, axis=0, weights=shares).tolist())

    def _fitting(self, data: bytes) -> _Wire | None:
        try:
            wire = msgspec.msgpack.decode(data, type=_Wire)
        except msgspec.MsgspecError:
            return None
        size = self._weights.nbytes
        if wire.version != 1 or wire.names != (*FEATURES, *FACTS) or {len(wire.weights), len(wire.squares)} != {size}:
            return None
        return wire if np.isfinite(np.frombuffer(wire.weights + wire.squares, "<f4")).all() else None

    def _step(self, sample: Sample) -> None:
        """One AdaGrad step down the cross-entropy of the answer."""
        table, facts, answer = sample
        w, _, _, v = self._now
        hidden = self._hidden(table, facts)
        errors = _softmax(table @ w + hidden @ v)
        errors[answer] -= 1.0
        back = errors[:, None] * (hidden > 0) * v
        gradient = np.empty_like(self._weights)
        slope_w, slope_a, slope_b, slope_v = self._parts(gradient)
        slope_w[:] = errors @ table
        slope_b[:] = back.sum(axis=0)
        slope_a[:, : table.shape[1]] = back.T @ table
        slope_a[:, table.shape[1] :] = slope_b[:, None] * facts
        slope_v[:] = errors @ hidden
        length = float(np.sqrt(gradient @ gradient))
        if not np.isfinite(length):
            return
        gradient *= np.float32(min(1.0, STEEPEST / max(length, 1e-12)))
        self._squares += gradient * gradient
        self._weights -= self._steps * gradient / np.sqrt(self._squares)

    def _hidden(self, table: Features, facts: Facts) -> NDArray[np.float32]:
        _, a, b, _ = self._now
        width = table.shape[1]
        return np.maximum(table @ a[:, :width].T + (a[:, width:] @ facts + b), 0.0, dtype=np.float32)

    def _parts(self, flat: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Views of w, A, b and v in one flat array."""
        ends = np.cumsum(self._sizes)
        w, a, b, v = (flat[end - size : end] for size, end in zip(self._sizes, ends, strict=True))
        return [w, a.reshape(HIDDEN, -1), b, v]


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


def _tamed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """No NaN, nothing beyond LARGEST; the same array if there was nothing to do."""
    worst = np.abs(values).max(initial=0.0)
    if worst <= LARGEST:
        return values
    return np.clip(np.nan_to_num(values, nan=0.0), -LARGEST, LARGEST)


def _softmax(scores: Scores) -> Scores:
    powers = np.exp(scores - scores.max())
    softmax: Scores = powers / powers.sum()
    return softmax
