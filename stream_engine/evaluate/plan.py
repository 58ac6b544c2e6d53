"""Which clicks are asked about before they are learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stream_engine.events import Received

LAST = 0.2  # share of the log that the figures are about
CURVE = 125  # clicks asked about in each twentieth of the rest, for the learning curve
STEPS = 20
NEW_USER = 3  # fewer earlier clicks make a user new


@dataclass(frozen=True, slots=True)
class Plan:
    """Places in the log: `sample` for the figures, `cold` for never-clicked items, `curve` for the learning curve."""

    sample: frozenset[int]
    cold: frozenset[int]
    curve: frozenset[int]
    begins: int  # the last part of the log

    @property
    def tested(self) -> list[int]:
        """All of them, in order."""
        return sorted(self.sample | self.cold | self.curve)


def plan_of(
    received: Sequence[Received], *, catalogue: set[str], weights: Mapping[str, float], sample: int, seed: int
) -> Plan:
    """`sample` random clicks of the last fifth, as many on never-clicked items if there are, and the curve's.

    Only what counts for the item, and only items of the catalogue: no list can hold another.
    """
    begins = round(len(received) * (1 - LAST))
    clicks: list[int] = []
    cold: list[int] = []
    clicked: set[str] = set()
    for place, each in enumerate(received):
        item_id = each.interaction.item_id
        if item_id not in catalogue or weights.get(each.interaction.event_type, 0.0) <= 0:
            continue
        clicks.append(place)
        if item_id not in clicked and place >= begins:
            cold.append(place)
        clicked.add(item_id)
    rng = np.random.default_rng(seed)
    late = [place for place in clicks if place >= begins]
    return Plan(
        frozenset(_some(rng, late, sample)),
        frozenset(_some(rng, cold, sample)),
        frozenset(_spread(rng, [place for place in clicks if place < begins], len(received))),
        begins,
    )


def _some(rng: np.random.Generator, places: Sequence[int], count: int) -> list[int]:
    if len(places) <= count:
        return list(places)
    return [int(each) for each in rng.choice(np.array(places), count, replace=False)]


def _spread(rng: np.random.Generator, places: Sequence[int], length: int) -> list[int]:
    """A few of each stretch of the log."""
    steps: dict[int, list[int]] = {}
    for place in places:
        steps.setdefault(place * STEPS // length, []).append(place)
    return [place for step in sorted(steps) for place in _some(rng, steps[step], CURVE)]
