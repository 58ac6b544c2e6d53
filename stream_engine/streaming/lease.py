"""May we still write: a worker frozen past its session must not, for another owns its partitions by then."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lease:
    """Held as long as no two notes of the clock lie more than `limit` seconds apart."""

    limit: float
    noted: float
    lost: bool = False

    def held(self, now: float) -> bool:
        """Whether a write may begin at monotonic time `now`."""
        return not self.lost and now - self.noted <= self.limit

    def note(self, now: float) -> Lease:
        """The lease after the clock was seen at `now`; once lost it stays lost."""
        return replace(self, noted=max(now, self.noted), lost=not self.held(now))
