"""Which clicks the ranker learns from: all at first, then a share."""

from __future__ import annotations

from zlib import crc32

from stream_engine.events import Source

ALL = 2_000  # clicks learnt from before thinning out
LEAST = 1 / 8  # share that is always learnt from


class Sampler:
    """Picks clicks by their place in the log, so that the same log gives the same picks."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._picked = 0

    def picks(self, source: Source) -> bool:
        """Whether to learn from the click at this place."""
        share = max(LEAST, min(1.0, ALL / (1 + self._picked)))
        chance = crc32(f"{self._seed}/{source.partition}/{source.offset}".encode()) / 2**32
        self._picked += chance < share
        return chance < share
