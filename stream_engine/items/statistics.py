"""What clicks taught about one item: popularity, neighbours, followers. A value, bounded, counted once.

Decay is forward (Cormode et al., ICDE 2009): recent pairs are kept as they weigh at a fixed `landmark`, so that time
passing changes none of them and one click changes only its own pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stream_engine.errors import PoisonEvent
from stream_engine.items.updates import ItemUpdate
from stream_engine.settings import StatisticsSettings
from stream_engine.versions import refuse_newer

STATISTICS_VERSION = 1
_FAR = 40.0  # half-lives past the landmark after which weights are moved to a new one
_SLACK = 1.25  # how far a bounded mapping may outgrow its bound before it is pruned


class Summary(msgspec.Struct, array_like=True, frozen=True):
    """Statistics of one item but for who goes with it; times are epoch seconds of event time."""

    updated: float  # event time of the latest update
    landmark: float  # event time that `lately` is relative to
    clicks: float
    first_click: float
    last_click: float
    popularity: tuple[float, ...]  # clicks, decayed to `last_click`, one per half-life
    pairs: float  # all pair weight ever seen, pruned neighbours included
    followed: float  # all clicks that ever came right after one on this item


class ItemStatistics(Summary, array_like=True, frozen=True):
    """All of them, bounded, as they are stored."""

    neighbours: tuple[str, ...]
    together: tuple[float, ...]  # pair weight of each neighbour
    lately: tuple[float, ...]  # the same, decayed
    after: tuple[float, ...]  # and only of pairs where they came later
    followers: Mapping[str, float]  # clicks right after one on this item
    watermarks: Mapping[int, int]  # last offset counted, by partition

    def by_neighbour(self, weights: Sequence[float]) -> dict[str, float]:
        """Such weights by the neighbour's id."""
        return dict(zip(self.neighbours, weights, strict=True))


def observe(stats: ItemStatistics | None, update: ItemUpdate, settings: StatisticsSettings) -> ItemStatistics:
    """The statistics after this update; the same object if it was counted before."""
    tally = Tally(stats or beginning(update))
    tally.add(update, settings)
    return tally.statistics()


def beginning(update: ItemUpdate) -> ItemStatistics:
    """Those of an item of which this is the first that is heard, to which it is still to be added."""
    at, nothing = update.timestamp, 0.0
    return ItemStatistics(at, at, nothing, nothing, nothing, (), nothing, nothing, (), (), (), (), {}, {})


def decay(seconds: float, half_life: float) -> float:
    """What is left of a weight of 1 after so long; more than 1 before."""
    return float(2.0 ** (-seconds / half_life))


class Tally:
    """Statistics while updates are added to them, which costs less for many at once."""

    def __init__(self, stats: ItemStatistics) -> None:
        self._before, self._has_counted = stats, False
        self._updated, self._landmark = stats.updated, stats.landmark
        self._clicks, self._first_click, self._last_click = stats.clicks, stats.first_click, stats.last_click
        self._popularity = stats.popularity
        self._pairs, self._followed = stats.pairs, stats.followed
        self._neighbours, self._places = list(stats.neighbours), dict[str, int]()
        self._together, self._lately, self._after = list(stats.together), list(stats.lately), list(stats.after)
        self._followers, self._watermarks = dict(stats.followers), dict(stats.watermarks)

    def statistics(self) -> ItemStatistics:
        """What they are after all that was added; the same object if all of it was counted before. Ends the tally."""
        if not self._has_counted:
            return self._before
        return ItemStatistics(
            self._updated,
            self._landmark,
            self._clicks,
            self._first_click,
            self._last_click,
            self._popularity,
            self._pairs,
            self._followed,
            tuple(self._neighbours),
            tuple(self._together),
            tuple(self._lately),
            tuple(self._after),
            self._followers,
            self._watermarks,
        )

    def add(self, update: ItemUpdate, settings: StatisticsSettings) -> None:
        """Count an update, if it was not."""
        if update.offset <= self._watermarks.get(update.partition, -1):
            return
        self._has_counted = True
        self._watermarks[update.partition] = update.offset
        self._updated = max(self._updated, update.timestamp)
        if update.weight > 0:
            self._click(update, settings)
        if update.timestamp - self._landmark > _FAR * settings.lately:
            self._land(update.timestamp, settings)
        self._pair(update, settings)
        if update.follower is not None:
            self._follow(update.follower, settings)

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
        self._lately = [weight * factor for weight in self._lately]

    def _pair(self, update: ItemUpdate, settings: StatisticsSettings) -> None:
        """Add pairs; past the slack only the strongest neighbours stay."""
        together, lately, after = self._together, self._lately, self._after
        fresh = decay(self._landmark - update.timestamp, settings.lately)
        for pairs, later in ((update.earlier, 0.0), (update.later, 1.0)):
            self._pairs += sum(near for _, near in pairs)
            for other, near in pairs:
                at = self._place(other)
                together[at] += near
                lately[at] += near * fresh
                after[at] += near * later
        if len(together) > _SLACK * settings.neighbours:
            self._prune(settings)

    def _place(self, other: str) -> int:
        """Where the neighbour stands; at the end, without any weight, if it is new."""
        if not self._places:
            self._places = dict(zip(self._neighbours, range(len(self._neighbours)), strict=True))
        at = self._places.setdefault(other, len(self._neighbours))
        if at == len(self._neighbours):
            self._neighbours.append(other)
            for weights in (self._together, self._lately, self._after):
                weights.append(0.0)
        return at

    def _prune(self, settings: StatisticsSettings) -> None:
        """Keep the strongest neighbours."""
        aged = decay(self._updated - self._landmark, settings.lately)
        pairs = zip(self._together, self._lately, strict=True)
        kept = _strongest([weight + 2.0 * late * aged for weight, late in pairs], settings.neighbours)
        self._neighbours, self._places = [self._neighbours[at] for at in kept], {}
        self._together, self._lately, self._after = (
            [weights[at] for at in kept] for weights in (self._together, self._lately, self._after)
        )

    def _follow(self, follower: str, settings: StatisticsSettings) -> None:
        """Add a click right after one on this item; past the slack only the most frequent followers stay."""
        followers = self._followers
        self._followed += 1.0
        followers[follower] = followers.get(follower, 0.0) + 1.0
        if len(followers) > _SLACK * settings.followers:
            names = list(followers)
            kept = _strongest(list(followers.values()), settings.followers)
            self._followers = {names[at]: followers[names[at]] for at in kept}


def _strongest(strengths: Sequence[float], count: int) -> list[int]:
    """Lossy counting (Manku & Motwani, VLDB 2002): the weakest go, anyone may come back; of equals the newest stay."""
    return sorted(range(len(strengths)), key=lambda at: (strengths[at], at), reverse=True)[:count]


class _Progress(msgspec.Struct, array_like=True):
    """The same, with all but the watermarks not looked at."""

    updated: msgspec.Raw
    landmark: msgspec.Raw
    clicks: msgspec.Raw
    first_click: msgspec.Raw
    last_click: msgspec.Raw
    popularity: msgspec.Raw
    pairs: msgspec.Raw
    followed: msgspec.Raw
    neighbours: msgspec.Raw
    together: msgspec.Raw
    lately: msgspec.Raw
    after: msgspec.Raw
    followers: msgspec.Raw
    watermarks: Mapping[int, int]


class _Weight(msgspec.Struct, array_like=True):
    """The beginning of it."""

    updated: msgspec.Raw
    landmark: msgspec.Raw
    clicks: float
    first_click: msgspec.Raw
    last_click: float


_encoder = msgspec.msgpack.Encoder()
_statistics = msgspec.msgpack.Decoder(ItemStatistics)
_progress = msgspec.msgpack.Decoder(_Progress)
_weight = msgspec.msgpack.Decoder(_Weight)
_summary = msgspec.msgpack.Decoder(Summary)


def encode_statistics(stats: ItemStatistics) -> bytes:
    """Version byte, then msgpack."""
    return bytes([STATISTICS_VERSION]) + _encoder.encode(stats)


def decode_statistics(data: bytes) -> ItemStatistics:
    """The statistics these bytes hold; raises PoisonEvent or NewerVersion."""
    try:
        stats = _statistics.decode(_body(data))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PoisonEvent("statistics", str(error)) from error
    if not len(stats.neighbours) == len(stats.together) == len(stats.lately) == len(stats.after):
        raise PoisonEvent("statistics", "weights of more or fewer neighbours than there are")
    return stats


def summary(data: bytes) -> Summary:
    """What there is to say of the item alone, at a tenth of the cost; raises PoisonEvent or NewerVersion."""
    try:
        return _summary.decode(_body(data))
    except msgspec.MsgspecError as error:
        raise PoisonEvent("statistics", str(error)) from error


def marks(data: bytes) -> Mapping[Any, int]:
    """How far the statistics got with each partition of clicks; raises PoisonEvent."""
    try:
        progress = _progress.decode(_body(data))
    except msgspec.MsgspecError as error:
        raise PoisonEvent("statistics", str(error)) from error
    return progress.watermarks


def strength(data: bytes, half_life: float) -> float:
    """The logarithm of an item's clicks, that its last one was a half-life ago halving them; raises PoisonEvent.

    By a clock that stands still, so that strengths of different times compare and time passing changes none of them.
    """
    try:
        weight = _weight.decode(_body(data))
    except msgspec.MsgspecError as error:
        raise PoisonEvent("statistics", str(error)) from error
    return math.log2(1.0 + weight.clicks) + weight.last_click / half_life


def _body(data: bytes) -> memoryview:
    refuse_newer(data, STATISTICS_VERSION, "an item's statistics")
    if data[:1] != bytes([STATISTICS_VERSION]):
        raise PoisonEvent("statistics", f"unknown version {data[:1]!r}")
    return memoryview(data)[1:]
