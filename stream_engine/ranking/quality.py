"""How good the lists are, seen from the clicks that came next: tested before they are learnt from."""

from __future__ import annotations

from dataclasses import dataclass

TOP = 10
MEMORY = 2_000.0  # clicks after which a click counts 1/e


@dataclass(frozen=True, slots=True)
class Quality:
    """Decayed sums over tested clicks; `trending` is what the most popular of the day would have hit."""

    clicks: float = 0.0
    hits: float = 0.0
    reciprocals: float = 0.0
    trending: float = 0.0

    @property
    def hit_rate(self) -> float:
        """Share of clicks on one of the first TOP; 0 before any click."""
        return self.hits / self.clicks if self.clicks else 0.0

    @property
    def mean_reciprocal_rank(self) -> float:
        """Mean of 1 / rank; 0 before any click."""
        return self.reciprocals / self.clicks if self.clicks else 0.0

    @property
    def trending_hit_rate(self) -> float:
        """The hit rate of a list of what is trending."""
        return self.trending / self.clicks if self.clicks else 0.0


def judged(quality: Quality, place: int | None, trending: int | None) -> Quality:
    """After a click on what we ranked at `place` and trending at `trending`, from 0; None: not at all."""
    kept = 1.0 - 1.0 / MEMORY
    return Quality(
        clicks=quality.clicks * kept + 1.0,
        hits=quality.hits * kept + (place is not None and place < TOP),
        reciprocals=quality.reciprocals * kept + (0.0 if place is None else 1.0 / (1.0 + place)),
        trending=quality.trending * kept + (trending is not None and trending < TOP),
    )
