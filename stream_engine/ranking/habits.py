"""Whether people come back to what they had: learnt from the clicks, not set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOON = 3_600.0  # seconds within which coming back is another habit than later
NORMAL = 0.02  # share of clicks from which coming back is normal
DOUBT = 200.0  # clicks without a repeat that are assumed at first
MEMORY = 20_000.0  # clicks after which a click counts 1/e


@dataclass(frozen=True, slots=True)
class Habits:
    """Decayed counts of clicks by users with a history, and of those on items they had."""

    clicks: float = 0.0
    soon: float = 0.0  # had it less than SOON ago
    later: float = 0.0

    @property
    def again_soon(self) -> bool:
        """Whether what was had a moment ago is worth showing."""
        return self.soon > NORMAL * (self.clicks + DOUBT)

    @property
    def again_later(self) -> bool:
        """Whether what was had a while ago is worth showing."""
        return self.later > NORMAL * (self.clicks + DOUBT)


def noticed(
    habits: Habits, item_id: str, time: float, items: Sequence[str], times: Sequence[int] | NDArray[np.uint32]
) -> Habits:
    """After a click on an item by someone with these items, newest first, at these times."""
    if not items:
        return habits
    kept = 1.0 - 1.0 / MEMORY
    had = item_id in items
    soon = had and time - float(times[items.index(item_id)]) < SOON
    return Habits(
        habits.clicks * kept + 1.0,
        habits.soon * kept + (1.0 if soon else 0.0),
        habits.later * kept + (1.0 if had and not soon else 0.0),
    )
