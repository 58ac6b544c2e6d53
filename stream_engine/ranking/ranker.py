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

from stream_engine.events import Interaction
from stream_engine.ranking.features import FACTS, FEATURES, Facts, Features
from stream_engine.ranking.habits import Habits, noticed
from stream_engine.ranking.net import HIDDEN, LARGEST, Net, Scores
from stream_engine.users import UserState

STEP = 0.3  # of the linear weights
HIDDEN_STEP = 0.05  # of the rest
REPLAYED = 3
KEPT = 600  # samples to replay from, at half precision
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


class Sample(NamedTuple):
    """A question with its answer: the position of the clicked candidate."""

    table: Features
    facts: Facts
    answer: int


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
