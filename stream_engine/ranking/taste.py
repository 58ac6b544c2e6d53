"""A question made ready for looking things up: the user's items as rows, their texts as probes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import Traits
from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.question import Question
from stream_engine.ranking.weighing import Heard
from stream_engine.vectors import Matrix

VOICES = 20  # items of the history that speak
LIKENESS = ("like_profile", "like_last", "like_interest")
FADE = 0.8  # what an item's voice loses per item in between

Floats = NDArray[np.float32]


class Moment(NamedTuple):
    """What compiled loops read of a taste."""

    heard: Heard
    ages: NDArray[np.float64]
    probes: Matrix
    now: float
    since: float
    interactions: int


class Moments(NamedTuple):
    """Those of several questions: each array that of all, one after the other."""

    recent: Rows
    voices: Floats
    had: Rows
    counts: Floats
    ages: NDArray[np.float64]
    left: Rows
    probes: Matrix
    ends: NDArray[np.int64]  # (questions + 1, 4): where each one's recent, had, left and probes end
    times: NDArray[np.float64]  # (questions, 2): now, and since the last interaction
    numbers: NDArray[np.int64]  # (questions, 2): interactions, and the size of the list


class Taste(msgspec.Struct, frozen=True):
    """A user's distinct items newest first, and probes (profile, last item, interests) of the text space."""

    question: Question
    had: Rows  # every remembered item
    left: Rows  # and those of which only a hash is remembered
    counts: Floats  # how often each was had
    ages: NDArray[np.float64]  # seconds since each was had last
    since: float  # seconds since the last interaction; inf if there was none
    recent: Rows  # the last VOICES items met with favour: those that speak
    voices: Floats  # their weights
    probes: Matrix  # (0 or 2 + interests, d)

    @property
    def heard(self) -> Heard:
        """What the sources hear of it."""
        return Heard(self.recent, self.voices, self.had, self.counts, self.left)

    @property
    def moment(self) -> Moment:
        """What the features are told of it."""
        question = self.question
        return Moment(self.heard, self.ages, self.probes, question.now, self.since, question.interactions)


def moments_of(tastes: Sequence[Taste]) -> Moments:
    """The arrays of these, of which there is one at least, one after the other."""
    lengths = [(len(taste.recent), len(taste.had), len(taste.left), len(taste.probes)) for taste in tastes]
    return Moments(
        np.concatenate([taste.recent for taste in tastes]),
        np.concatenate([taste.voices for taste in tastes]),
        np.concatenate([taste.had for taste in tastes]),
        np.concatenate([taste.counts for taste in tastes]),
        np.concatenate([taste.ages for taste in tastes]),
        np.concatenate([taste.left for taste in tastes]),
        np.concatenate([taste.probes for taste in tastes]),
        np.cumsum(np.array([(0,) * len(lengths[0]), *lengths], np.int64), axis=0),
        np.array([(taste.question.now, taste.since) for taste in tastes]),
        np.array([(taste.question.interactions, taste.question.size) for taste in tastes], np.int64),
    )


def some_of(moments: Moments, start: int, stop: int) -> Moments:
    """Those of the questions from one to before another."""
    ends, times, numbers = moments.ends[start : stop + 1], moments.times[start:stop], moments.numbers[start:stop]
    return moments._replace(ends=ends, times=times, numbers=numbers)


@compiled
def moment_at(moments: Moments, at: int) -> Moment:
    """That of one question."""
    (recent, had, left, probe), (recent_end, had_end, left_end, probe_end) = moments.ends[at : at + 2]
    heard = Heard(
        moments.recent[recent:recent_end],
        moments.voices[recent:recent_end],
        moments.had[had:had_end],
        moments.counts[had:had_end],
        moments.left[left:left_end],
    )
    now, since = moments.times[at]
    return Moment(heard, moments.ages[had:had_end], moments.probes[probe:probe_end], now, since, moments.numbers[at, 0])


def taste_of(view: ItemView, question: Question) -> Taste:
    """What the view knows of this user's items."""
    (taste,) = tastes_of(view, [question])
    return taste


def tastes_of(view: ItemView, questions: Sequence[Question]) -> list[Taste]:
    """What the view knows of each user's items; an item speaks as it was met last."""
    tastes = [_without_probes(view, question) for question in questions]
    traits, space = view.columns.traits, view.space
    sums = [_sums(traits, space.mean, taste.recent, taste.voices, taste.question.interests) for taste in tastes]
    probes = space.probes(np.concatenate(sums)) if sums else np.zeros((0, 0), np.float32)
    ends = accumulate(map(len, sums))
    return [
        replace(taste, probes=probes[end - len(each) : end])
        for taste, each, end in zip(tastes, sums, ends, strict=True)
    ]


def _without_probes(view: ItemView, question: Question) -> Taste:
    counts: dict[int, int] = {}
    ages: list[float] = []
    speaking: list[int] = []
    lookup = view.row
    for item_id, time, liked in zip(question.items, question.times, question.liked, strict=True):
        row = lookup(item_id)
        if row is None:
            continue
        if row in counts:
            counts[row] += 1
            continue
        counts[row] = 1
        ages.append(question.now - time)
        if liked and len(speaking) < VOICES:
            speaking.append(row)
    return Taste(
        question=question,
        had=np.array(list(counts), np.int64),
        left=view.rows_by_hash(question.left),
        counts=np.array(list(counts.values()), np.float32),
        ages=np.array(ages, np.float64),
        since=max(question.now - question.times[0], 0.0) if question.times else float("inf"),
        recent=np.array(speaking, np.int64),
        voices=_FADING[: len(speaking)],
        probes=np.zeros((0, 0), np.float32),
    )


@compiled
def likeness(traits: Traits, mean: Floats, rows: Rows, probes: Matrix) -> Floats:
    """Cosines to the profile, to the last item, and to the nearest interest, shape (n, 3); 0 where there is no text.

    (step * codes - mean) @ probe / norm for every row and probe, the best of those after the second in one.
    """
    alike, components = np.zeros((len(rows), len(LIKENESS)), np.float32), traits.codes.shape[1]
    means = np.zeros(len(probes), np.float32)
    for kind in range(len(probes)):
        for component in range(components):
            means[kind] += mean[component] * probes[kind, component]
    for at in range(len(rows) if len(probes) else 0):
        row = rows[at]
        if not traits.has_vector[row]:
            continue
        codes, step, norm = traits.codes[row], traits.steps[row], traits.norms[row]
        profile, last, interest = _dots(codes, probes)
        alike[at, 0] = (profile * step - means[0]) / norm
        alike[at, 2] = alike[at, 0]
        if len(probes) > 1:
            alike[at, 1] = (last * step - means[1]) / norm
        if len(probes) > 2:
            alike[at, 2] = (interest * step - means[2]) / norm
        for kind in range(3, len(probes)):
            dot = np.float32(0.0)
            for component in range(components):
                dot += np.float32(codes[component]) * probes[kind, component]
            alike[at, 2] = max(alike[at, 2], (dot * step - means[kind]) / norm)
    return alike


@compiled
def _dots(codes: NDArray[np.int8], probes: Matrix) -> tuple[np.float32, np.float32, np.float32]:
    """With the first three probes at once, or the last of fewer again: the item is read once."""
    one, two, three = probes[0], probes[min(1, len(probes) - 1)], probes[min(2, len(probes) - 1)]
    first = second = third = np.float32(0.0)
    for component in range(len(codes)):
        value = np.float32(codes[component])
        first += value * one[component]
        second += value * two[component]
        third += value * three[component]
    return first, second, third


@compiled
def _sums(traits: Traits, mean: Floats, recent: Rows, voices: Floats, interests: Matrix) -> Matrix:
    """What probes are made of: the fading sum of the items, the last item, and each interest, centred; or nothing."""
    sums = np.zeros((2 + len(interests), len(mean)), np.float32)
    if len(interests):
        sums[2:] = interests - mean
    spoken = _speak(traits, mean, recent, voices, sums)
    if not spoken and len(interests):
        sums[:2] = sums[2]
    return sums[: len(sums) if spoken or len(interests) else 0]


@compiled
def _speak(traits: Traits, mean: Floats, recent: Rows, voices: Floats, spoken: Matrix) -> int:
    """The fading sum of those with a text, the last of them by itself, and how many they are."""
    count = 0
    for voice in range(len(recent)):
        row = recent[voice]
        if not traits.has_vector[row]:
            continue
        codes, step, loudness = traits.codes[row], traits.steps[row], voices[voice] / traits.norms[row]
        for component in range(len(mean)):
            spoken[0, component] += loudness * (np.float32(codes[component]) * step - mean[component])
        if count == 0:
            spoken[1] = spoken[0] / voices[voice]
        count += 1
    return count


_FADING = (FADE ** np.arange(VOICES)).astype(np.float32)
