"""A stand-in that needs no model: words and their trigrams hashed into a vector."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from stream_engine.vectors import Matrix, unit

WORD = re.compile(r"\w+")


class HashedEncoder:
    """Texts that share words or parts of them get similar vectors; the same ones on every machine.

    Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
    """

    def __init__(self, dimensions: int = 384) -> None:
        self._dimensions = dimensions

    @property
    def fingerprint(self) -> str:
        """`hashed-<dimensions>`."""
        return f"hashed-{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._dimensions

    async def encode(self, texts: Sequence[str]) -> Matrix:
        """Unit rows, shape (len(texts), dimensions)."""
        rows = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature, count in Counter(_features(text)).items():
                code = crc32(feature.encode("utf-8", "replace"))
                row[(code >> 1) % self._dimensions] += (1 if code & 1 else -1) * count**0.5
            if not row.any():  # no word, or all of them cancelled out
                row[0] = 1
        return unit(rows)

    async def close(self) -> None:
        """Nothing to free."""


def _features(text: str) -> Iterator[str]:
    for word in WORD.findall(text.lower()):
        yield word
        padded = f"<{word}>"
        yield from (padded[start : start + 3] for start in range(len(padded) - 2))
