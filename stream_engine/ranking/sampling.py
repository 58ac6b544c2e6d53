"""Which clicks the ranker learns from: all at first, then a share, and never more than so many a second."""

from __future__ import annotations

from zlib import crc32

from stream_engine.events import Source

ALL = 2_000  # clicks learnt from before thinning out
LEAST = 1 / 8  # share that is always wanted


class Sampler:
    """Picks clicks by their place in the log, so that the same log gives the same picks; a token bucket bounds them."""

    def __init__(self, seed: int, *, per_second: float) -> None:
        self._seed = seed
        self._rate = per_second
        self._tokens = per_second
        self._as_of: float | None = None
        self._picked = 0

    def refill(self, now: float) -> None:
        """Time has passed; without ever being told so, the sampler knows no bound."""
        passed = max(now - self._as_of, 0.0) if self._as_of is not None else 0.0
        self._tokens = min(self._tokens + passed * self._rate, self._rate)
        self._as_of = now

    def picks(self, source: Source) -> bool:
        """Whether to learn from the click at this place."""
        share = max(LEAST, min(1.0, ALL / (1 + self._picked)))
        chance = crc32(f"{self._seed}/{source.partition}/{source.offset}".encode()) / 2**32
        if chance >= share or (self._as_of is not None and self._tokens < 1.0):
            return False
        self._tokens -= 1.0
        self._picked += 1
        return True
