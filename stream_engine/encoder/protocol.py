"""The port: what turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream_engine.vectors import Matrix


class Encoder(Protocol):
    """Texts to unit vectors, off the event loop's thread."""

    @property
    def fingerprint(self) -> str:
        """Names model, revision and precision: vectors of two fingerprints never meet."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    async def encode(self, texts: Sequence[str]) -> Matrix:
        """Unit rows, shape (len(texts), dimensions), whatever the batch; raises Unavailable."""
        ...

    async def close(self) -> None:
        """Free threads and files; idempotent."""
