"""Loops that numpy has no word for: compiled for this machine when first used, and kept on disk for the next process.

Interpreted (NUMBA_DISABLE_JIT=1) they give the same numbers, only slowly. A change to a compiled function that another
file calls is not noticed by what is kept: call within a file, or from plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """The same function on arrays and numbers; sums may be taken in another order, NaN stays NaN."""
    made: Callable[P, T] = numba.njit(
        cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
    )(function)
    return made
