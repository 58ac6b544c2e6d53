"""What the engine has to beat, each in its plainest form: trending, text of the last item, item-kNN.

They see the same log in the same order and are asked the same questions. Items a user had are left out unless repeats
have been normal so far.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_engine.vectors import Matrix

Scores = NDArray[np.float64]
HALF_LIFE = 1_000.0  # clicks
HISTORY = 20
WINDOW = 10
FADE = 0.8  # what an item of the history counts less than the next one
NEARNESS = 0.9
NORMAL = 0.05  # share of repeats from which they are normal


class Baseline(Protocol):
    """Scores every item for a user, learns every click; items and users are numbers."""

    def scores(self, history: Sequence[int]) -> Scores:
        """One score an item, shape (n,), for a user whose last items these are, newest first."""
        ...

    def learn(self, user: int, history: Sequence[int], item: int) -> None:
        """A user with this history clicked this item."""


class Trending:
    """Clicks, each counting half after HALF_LIFE further ones."""

    def __init__(self, items: int) -> None:
        self._counts = np.zeros(items)
        self._worth = 1.0

    def scores(self, history: Sequence[int]) -> Scores:  # noqa: ARG002 the same for all
        """Decayed popularity."""
        scores: Scores = self._counts.copy()
        return scores

    def learn(self, user: int, history: Sequence[int], item: int) -> None:  # noqa: ARG002
        """Later clicks are worth more instead of earlier ones less."""
        self._worth *= 2 ** (1 / HALF_LIFE)
        self._counts[item] += self._worth
        if self._worth > 1e100:
            self._counts /= self._worth
            self._worth = 1.0


class LastText:
    """Cosine of the texts' vectors to that of the last item."""

    def __init__(self, vectors: Matrix) -> None:
        self._vectors = vectors

    def scores(self, history: Sequence[int]) -> Scores:
        """Cosines, zeros for a new user."""
        if not history:
            return np.zeros(len(self._vectors))
        cosines: Scores = np.asarray(self._vectors @ self._vectors[history[0]], np.float64)
        return cosines

    def learn(self, user: int, history: Sequence[int], item: int) -> None:
        """Texts do not change."""


class ItemKnn:
    """Pairs of items within WINDOW clicks of a user, normalised as cosines, summed over the last HISTORY items.

    Sarwar et al., WWW 2001, counted as the clicks come.
    """

    def __init__(self, items: int) -> None:
        self._pairs: list[dict[int, float]] = [defaultdict(float) for _ in range(items)]
        self._clicks = np.zeros(items)

    def scores(self, history: Sequence[int]) -> Scores:
        """Sums of cosines."""
        rarity = 1 / np.sqrt(self._clicks + 1)
        sums = np.zeros(len(self._pairs))
        for age, item in enumerate(history[:HISTORY]):
            pairs = self._pairs[item]
            others = np.fromiter(pairs, np.int64, len(pairs))
            sums[others] += np.fromiter(pairs.values(), np.float64, len(pairs)) * (FADE**age * rarity[item])
        return sums * rarity

    def learn(self, user: int, history: Sequence[int], item: int) -> None:  # noqa: ARG002
        """One pair with each of the last items."""
        self._clicks[item] += 1
        for distance, other in enumerate(history[:WINDOW]):
            if other != item:
                self._pairs[item][other] += NEARNESS**distance
                self._pairs[other][item] += NEARNESS**distance


class Panel:
    """The baselines, and the histories they share."""

    def __init__(self, baselines: dict[str, Baseline]) -> None:
        self.baselines = baselines
        self._recent: dict[str, deque[int]] = {}
        self._had: dict[str, set[int]] = {}
        self._numbers: dict[str, int] = {}
        self._clicks = self._repeats = 0

    def ranked(self, user_id: str, size: int) -> dict[str, list[int]]:
        """Each baseline's best `size` items for the user, ties by item; only what has a score."""
        history = list(self._recent.get(user_id, ()))
        left_out = [] if self._repeats > NORMAL * self._clicks else sorted(self._had.get(user_id, ()))
        lists = {}
        for name, each in self.baselines.items():
            scores = each.scores(history)
            scores[left_out] = 0.0
            pool = np.argpartition(-scores, min(size, len(scores) - 1))[: size + 1]
            best = pool[np.lexsort((pool, -scores[pool]))][:size]
            lists[name] = [int(item) for item in best if scores[item] > 0]
        return lists

    def learn(self, user_id: str, item: int) -> None:
        """A user clicked an item."""
        recent = self._recent.setdefault(user_id, deque(maxlen=HISTORY))
        had = self._had.setdefault(user_id, set())
        history = list(recent)
        number = self._numbers.setdefault(user_id, len(self._numbers))
        for each in self.baselines.values():
            each.learn(number, history, item)
        self._clicks += bool(had)
        self._repeats += item in had
        recent.appendleft(item)
        had.add(item)
