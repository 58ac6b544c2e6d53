"""What is asked of the ranking: a list for one user at one moment."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_engine.users import UserState, interests_of
from stream_engine.users.history import AWAY, U32
from stream_engine.users.interests import directions
from stream_engine.vectors import Matrix

_NO_HASHES = np.zeros(0, np.uint32)


class Question(msgspec.Struct, frozen=True):
    """A user as ranking sees one: remembered interactions newest first, and what the caller wants."""

    user_id: str
    now: float
    items: tuple[str, ...] = ()
    times: tuple[int, ...] = ()  # epoch seconds, of `items`
    liked: tuple[bool, ...] = ()  # whether each of `items` was met with favour
    left: NDArray[np.uint32] = _NO_HASHES  # hashes of earlier items
    interests: Matrix = directions(())  # unit rows
    interactions: int = 0
    searched: bool = False  # did something else since the newest of `items`
    size: int = 20
    categories: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()


def question_of(
    user_id: str,
    state: UserState | None,
    now: float,
    *,
    size: int,
    space: int = 0,
    categories: Iterable[str] = (),
    exclude: Iterable[str] = (),
) -> Question:
    """What to ask for this user; without a state, what to ask for anyone. Interests of another `space` do not count."""
    wanted = (size, tuple(categories), frozenset(exclude))
    if state is None:
        return Question(user_id, now, size=wanted[0], categories=wanted[1], exclude=wanted[2])
    times = tuple(np.frombuffer(state.times, U32)[::-1].tolist())
    return Question(
        user_id,
        now,
        state.items[::-1],
        times,
        tuple([code < AWAY for code in state.codes[::-1]]),
        np.frombuffer(state.left, U32),
        directions(interests_of(state, space)),
        state.interactions,
        not times or state.updated_at >= times[0] + 1,
        *wanted,
    )
