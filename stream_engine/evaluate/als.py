"""Implicit-feedback matrix factorisation by alternating least squares, from the `implicit` package (extra `baselines`).

Hu, Koren & Volinsky, ICDM 2008. A batch method: refitted to everything so far each REFIT clicks; between refits the
factors of items stand still, those of the asking user are computed from their last items.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from stream_engine.evaluate.baselines import Scores

FACTORS = 64
ITERATIONS = 10
CONFIDENCE = 10.0


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec("implicit") is not None


class Als:
    """The factorisation, refitted now and then."""

    def __init__(self, items: int, *, refit: int, seed: int) -> None:
        self._items = items
        self._refit = refit
        self._seed = seed
        self._users: list[int] = []
        self._clicked: list[int] = []
        self._model: Any = None

    def scores(self, history: Sequence[int]) -> Scores:
        """Products of the user's and the items' factors, moved above 0; zeros before the first fit."""
        if self._model is None or not history:
            return np.zeros(self._items)
        own = _matrix([0] * len(history), list(history), (1, self._items))
        products = self._model.item_factors @ self._model.recalculate_user(np.array([0]), own)[0]
        return np.asarray(products - products.min() + 1e-9, np.float64)

    def learn(self, user: int, history: Sequence[int], item: int) -> None:  # noqa: ARG002 the interface
        """Remember the click; fit when enough have come."""
        self._users.append(user)
        self._clicked.append(item)
        if len(self._users) % self._refit == 0:
            self._fit()

    def _fit(self) -> None:
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 an extra

        shape = (max(self._users) + 1, self._items)
        with threadpool_limits(1, "blas"):  # implicit wants it so
            self._model = AlternatingLeastSquares(
                factors=FACTORS, alpha=CONFIDENCE, iterations=ITERATIONS, num_threads=1, random_state=self._seed
            )
            self._model.fit(_matrix(self._users, self._clicked, shape), show_progress=False)


def _matrix(users: Sequence[int], items: Sequence[int], shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_matrix  # noqa: PLC0415 comes with the extra

    return csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
