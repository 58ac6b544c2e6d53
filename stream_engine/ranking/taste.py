"""A question made ready for looking things up: the user's items as rows, their texts as probes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.view import ItemView, Rows
from stream_engine.ranking.question import Question
from stream_engine.vectors import Matrix

VOICES = 20  # items of the history that speak
LIKENESS = ("like_profile", "like_last", "like_interest")
FADE = 0.8  # what an item's voice loses per item in between

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Taste:
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


def taste_of(view: ItemView, question: Question) -> Taste:
    """What the view knows of this user's items; an item speaks as it was met last."""
    counts: dict[int, int] = {}
    times: list[int] = []
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
        times.append(time)
        if liked and len(speaking) < VOICES:
            speaking.append(row)
    recent = np.array(speaking, np.int64)
    voices = _FADING[: len(recent)]
    return Taste(
        question=question,
        had=np.array(list(counts), np.int64),
        left=view.rows_by_hash(question.left),
        counts=np.array(list(counts.values()), np.float32),
        ages=question.now - np.array(times, np.float64),
        since=max(question.now - question.times[0], 0.0) if question.times else float("inf"),
        recent=recent,
        voices=voices,
        probes=_probes(view, question.interests, recent, voices),
    )


def likeness(view: ItemView, taste: Taste, rows: Rows) -> Floats:
    """Cosines to the profile, to the last item, and to the nearest interest, shape (n, 3); 0 where there is no text."""
    if not len(taste.probes):
        return np.zeros((len(rows), len(LIKENESS)), np.float32)
    columns = view.columns
    # (steps * codes - mean) @ probe / norm, without a pass over the vectors for each operation
    dots = columns.codes[rows].astype(np.float32) @ taste.probes.T * columns.steps[rows, None]
    every = (dots - taste.probes @ view.space.mean) * (columns.has_vector[rows] / columns.norms[rows])[:, None]
    interest = every[:, 2:].max(axis=1) if every.shape[1] > 2 else every[:, 0]
    return np.column_stack([every[:, :2], interest])


def _probes(view: ItemView, interests: Matrix, rows: Rows, voices: Floats) -> Matrix:
    """One probe for the fading mean of the items, one for the last item, one for each interest; or none."""
    columns, space = view.columns, view.space
    speaking = columns.has_vector[rows]
    centred = interests - space.mean if interests.size else np.zeros((0, len(space.mean)), np.float32)
    if speaking.any():
        rows, voices = rows[speaking], voices[speaking]
        each = (view.vectors(rows) - space.mean) / columns.norms[rows, None]
        centred = np.concatenate([[voices @ each, each[0]], centred])
    elif len(centred):
        centred = np.concatenate([centred[:1], centred[:1], centred])
    return space.probes(centred)


_FADING = (FADE ** np.arange(VOICES)).astype(np.float32)
