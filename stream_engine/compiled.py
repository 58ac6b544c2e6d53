"""Loops that numpy has no word for: compiled for this machine when first used, and kept on disk for the next process.

Interpreted (NUMBA_DISABLE_JIT=1) they give the same numbers, only slowly. What is kept is void once any file of the
function's folder has changed, so compiled functions may call those of other files in it (numba would look at the
function's own file only).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """The same function on arrays and numbers; sums may be taken in another order, NaN stays NaN."""
    made = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})(function)
    kept: Any = getattr(made, "_cache", None)  # none where all is interpreted
    if kept is not None:
        kept._cache_file._source_stamp = _stamp(Path(function.__code__.co_filename).parent)  # noqa: SLF001
    typed: Callable[P, T] = made
    return typed


@cache
def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Says when its files changed last."""
    stats = {file.name: file.stat() for file in sorted(folder.glob("*.py"))}
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats.items())
