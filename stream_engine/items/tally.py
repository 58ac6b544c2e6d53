"""What one more click changes in an item's statistics: each counted once, of each only the strongest kept."""

from __future__ import annotations

from array import array
from sys import intern

import numpy as np
from numpy.typing import NDArray

from stream_engine.items.statistics import ItemStatistics, floats
from stream_engine.items.updates import ItemUpdate
from stream_engine.settings import StatisticsSettings

_FAR = 40.0  # half-lives past the landmark after which weights are moved to a new one
_SLACK = 1.25  # how far a bounded mapping may outgrow its bound before it is pruned


def observe(stats: ItemStatistics | None, update: ItemUpdate, settings: StatisticsSettings) -> ItemStatistics:
    """The statistics after this update; the same object if it was counted before."""
    tally = Tally(stats or beginning(update))
    has_counted = tally.add(update, settings)
    return stats if stats and not has_counted else tally.statistics()


def beginning(update: ItemUpdate) -> ItemStatistics:
    """Those of an item of which this is the first that is heard, to which it is still to be added."""
    at, nothing = update.timestamp, 0.0
    return ItemStatistics(at, at, nothing, nothing, nothing, (), nothing, nothing, (), b"", b"", b"", {}, {})


def decay(seconds: float, half_life: float) -> float:
    """What is left of a weight of 1 after so long; more than 1 before."""
    return float(2.0 ** (-seconds / half_life))


class Tally:
    """Statistics while updates are added to them, which costs less for many; of ids that items share there is one."""

    __slots__ = (
        *("_after", "_clicks", "_first_click", "_followed", "_followers", "_landmark", "_last_click", "_lately"),
        *("_pairs", "_places", "_popularity", "_together", "_updated", "_watermarks"),
    )

    def __init__(self, stats: ItemStatistics) -> None:
        self._updated, self._landmark = stats.updated, stats.landmark
        self._clicks, self._first_click, self._last_click = stats.clicks, stats.first_click, stats.last_click
        self._popularity = stats.popularity
        self._pairs, self._followed = stats.pairs, stats.followed
        self._places = {intern(other): at for at, other in enumerate(stats.neighbours)}
        self._together, self._lately, self._after = (
            floats(weights) for weights in (stats.together, stats.lately, stats.after)
        )
        self._followers = {intern(other): count for other, count in stats.followers.items()}
        self._watermarks = dict(stats.watermarks)

    def statistics(self) -> ItemStatistics:
        """What they are after all that was added."""
        return ItemStatistics(
            self._updated,
            self._landmark,
            self._clicks,
            self._first_click,
            self._last_click,
            self._popularity,
            self._pairs,
            self._followed,
            tuple(self._places),
            self._together.tobytes(),
            self._lately.tobytes(),
            self._after.tobytes(),
            self._followers.copy(),
            self._watermarks.copy(),
        )

    def add(self, update: ItemUpdate, settings: StatisticsSettings) -> bool:
        """Count an update; False if it was counted before."""
        if update.offset <= self._watermarks.get(update.partition, -1):
            return False
        self._watermarks[update.partition] = update.offset
        self._updated = max(self._updated, update.timestamp)
        if update.weight > 0:
            self._click(update, settings)
        if update.timestamp - self._landmark > _FAR * settings.lately:
            self._land(update.timestamp, settings)
        self._pair(update, settings)
        if update.follower is not None:
            self._follow(update.follower, settings)
        return True

    def _click(self, update: ItemUpdate, settings: StatisticsSettings) -> None:
        """One more on the item itself, in or out of order."""
        at, weight = update.timestamp, update.weight
        last = max(self._last_click, at) if self._clicks else at
        passed, late = last - self._last_click, last - at
        before = self._popularity
        if len(before) != len(settings.half_lives):  # a new item, or the setting has changed
            before = (0.0,) * len(settings.half_lives)
        self._popularity = tuple(
            count * decay(passed, half) + weight * decay(late, half)
            for count, half in zip(before, settings.half_lives, strict=True)
        )
        self._first_click = min(self._first_click, at) if self._clicks else at
        self._last_click = last
        self._clicks += weight

    def _land(self, landmark: float, settings: StatisticsSettings) -> None:
        """Move to a nearer landmark, so that weights stay within floating point."""
        factor = decay(landmark - self._landmark, settings.lately)
        self._landmark = landmark
        self._lately = array("f", [weight * factor for weight in self._lately])

    def _pair(self, update: ItemUpdate, settings: StatisticsSettings) -> None:
        """Add pairs; past the slack only the strongest neighbours stay."""
        places, together, lately, after = self._places, self._together, self._lately, self._after
        fresh, total = decay(self._landmark - update.timestamp, settings.lately), self._pairs
        for pairs, later in ((update.earlier, 0.0), (update.later, 1.0)):
            for other, near in pairs:
                total += near
                at = places.get(other)
                if at is None:
                    places[intern(other)] = len(places)
                    together.append(near)
                    lately.append(near * fresh)
                    after.append(near * later)
                else:
                    together[at] += near
                    lately[at] += near * fresh
                    after[at] += near * later
        self._pairs = total
        if len(together) > _SLACK * settings.neighbours:
            self._prune(settings)

    def _prune(self, settings: StatisticsSettings) -> None:
        """Keep the strongest neighbours."""
        aged = decay(self._updated - self._landmark, settings.lately)
        weights = np.array((self._together, self._lately, self._after), np.float32)
        kept = _strongest(weights[0] + 2.0 * aged * weights[1].astype(np.float64), settings.neighbours)
        neighbours = list(self._places)
        self._places = {neighbours[before]: at for at, before in enumerate(kept.tolist())}
        self._together, self._lately, self._after = (floats(row.tobytes()) for row in weights[:, kept])

    def _follow(self, follower: str, settings: StatisticsSettings) -> None:
        """Add a click right after one on this item; past the slack only the most frequent followers stay."""
        followers = self._followers
        self._followed += 1.0
        followers[intern(follower)] = followers.get(follower, 0.0) + 1.0
        if len(followers) > _SLACK * settings.followers:
            names = list(followers)
            kept = _strongest(np.array(list(followers.values())), settings.followers)
            self._followers = {names[at]: followers[names[at]] for at in kept.tolist()}


def _strongest(strengths: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Lossy counting (Manku & Motwani, VLDB 2002): the weakest go, anyone may come back; of equals the newest stay."""
    return np.argsort(strengths, kind="stable")[: -count - 1 : -1]
