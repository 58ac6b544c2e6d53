"""What is asked of the ranking: a list for one user at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_engine.users import UserState, interest_vectors, recent
from stream_engine.vectors import Matrix

Hashes = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Question:
    """A user as ranking sees one; `recent` holds (item id, time) newest first, each click its own."""

    user_id: str
    now: float
    recent: tuple[tuple[str, float], ...] = ()
    left: Hashes = field(default_factory=lambda: np.zeros(0, np.uint32))  # items that have left `recent`
    interests: Matrix = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # unit rows
    interactions: int = 0
    size: int = 20
    categories: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()


def question_of(
    user_id: str,
    state: UserState | None,
    now: float,
    *,
    size: int,
    categories: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Question:
    """What to ask for this user; without a state, what to ask for anyone."""
    if state is None:
        return Question(user_id, now, size=size, categories=tuple(categories), exclude=frozenset(exclude))
    return Question(
        user_id,
        now,
        recent=tuple((entry.item_id, float(entry.timestamp)) for entry in recent(state)),
        left=np.frombuffer(state.left, "<u4"),
        interests=interest_vectors(state)[0],
        interactions=state.interactions,
        size=size,
        categories=tuple(categories),
        exclude=frozenset(exclude),
    )
