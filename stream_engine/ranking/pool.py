"""Rows proposed many times over, brought down to one place each, with how strong every source finds it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRENGTHS = ("together", "with_last", "lately", "after", "follows", "bridge", "again")


class Pool(NamedTuple):
    """Room for the proposals of one question at a time; not for two threads."""

    place: NDArray[np.int32]  # by row of the catalogue: where it stands in `rows`, -1 where it was not proposed
    rows: NDArray[np.int64]
    strengths: NDArray[np.float32]  # (n, len(STRENGTHS))
    used: NDArray[np.int64]  # (1,) how many of `rows`


def roomy(pool: Pool | None, *, items: int, proposals: int) -> Pool:
    """The pool itself if it has room for so many rows of such a catalogue, else a larger one; both are empty."""
    if pool is not None and len(pool.place) >= items and len(pool.rows) >= proposals:
        return pool
    items, proposals = items * 3 // 2 + 1, proposals * 3 // 2 + 1
    return Pool(
        np.full(items, -1, np.int32),
        np.zeros(proposals, np.int64),
        np.zeros((proposals, len(STRENGTHS)), np.float32),
        np.zeros(1, np.int64),
    )
