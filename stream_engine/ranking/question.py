"""What is asked of the ranking: a list for one user at one moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stream_engine.users import UserState, interest_vectors, recent
from stream_engine.vectors import Matrix


@dataclass(frozen=True, slots=True)
class Question:
    """A user as ranking sees one; `recent` holds (item id, time) of each remembered click, newest first."""

    user_id: str
    now: float
    recent: tuple[tuple[str, float], ...] = ()
    left: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))  # hashes of earlier items
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
    categories: Iterable[str] = (),
    exclude: Iterable[str] = (),
) -> Question:
    """What to ask for this user; without a state, what to ask for anyone."""
    asked = Question(user_id, now, size=size, categories=tuple(categories), exclude=frozenset(exclude))
    if state is None:
        return asked
    return replace(
        asked,
        recent=tuple((entry.item_id, float(entry.timestamp)) for entry in recent(state)),
        left=np.frombuffer(state.left, "<u4"),
        interests=interest_vectors(state)[0],
        interactions=state.interactions,
    )
