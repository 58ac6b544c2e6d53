"""What clicks taught about one item: popularity, neighbours, followers. A value, bounded, counted once.

Decay is forward (Cormode et al., ICDE 2009): recent pairs are kept as they weigh at a fixed `landmark`, so that time
passing changes none of them and one click changes only its own pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from stream_engine.errors import PoisonEvent
from stream_engine.items.updates import ItemUpdate
from stream_engine.settings import StatisticsSettings
from stream_engine.versions import refuse_newer

STATISTICS_VERSION = 1
_FAR = 40.0  # half-lives past the landmark after which weights are moved to a new one
_SLACK = 1.25  # how far a bounded mapping may outgrow its bound before it is pruned


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """Statistics of one item; times are epoch seconds of event time, mappings are bounded and never changed."""

    updated: float  # event time of the latest update
    landmark: float  # event time that `lately` is relative to
    clicks: float = 0.0
    first_click: float = 0.0
    last_click: float = 0.0
    popularity: tuple[float, ...] = ()  # clicks, decayed to `last_click`, one per half-life
    pairs: float = 0.0  # all pair weight ever seen, pruned neighbours included
    followed: float = 0.0  # all clicks that ever came right after one on this item
    together: Mapping[str, float] = field(default_factory=dict)  # pair weight by neighbour
    lately: Mapping[str, float] = field(default_factory=dict)  # the same neighbours in the same order, decayed
    after: Mapping[str, float] = field(default_factory=dict)  # again the same: only pairs where they came later
    followers: Mapping[str, float] = field(default_factory=dict)  # clicks right after one on this item
    watermarks: Mapping[int, int] = field(default_factory=dict)  # last offset counted, by partition


def observe(stats: ItemStatistics | None, update: ItemUpdate, settings: StatisticsSettings) -> ItemStatistics:
    """The statistics after this update; the same object if it was counted before."""
    if stats is None:
        stats = ItemStatistics(updated=update.timestamp, landmark=update.timestamp)
    if update.offset <= stats.watermarks.get(update.partition, -1):
        return stats
    if update.weight > 0:
        stats = _clicked(stats, update, settings)
    if update.timestamp - stats.landmark > _FAR * settings.lately:
        stats = _landed(stats, update.timestamp, settings)
    together, lately, after = _paired(stats, update, settings)
    return ItemStatistics(
        updated=max(stats.updated, update.timestamp),
        landmark=stats.landmark,
        clicks=stats.clicks,
        first_click=stats.first_click,
        last_click=stats.last_click,
        popularity=stats.popularity,
        pairs=stats.pairs + sum(near for _, near in update.earlier) + sum(near for _, near in update.later),
        followed=stats.followed + (update.follower is not None),
        together=together,
        lately=lately,
        after=after,
        followers=stats.followers if update.follower is None else _followed(stats, update.follower, settings),
        watermarks={**stats.watermarks, update.partition: update.offset},
    )


def decay(seconds: float, half_life: float) -> float:
    """What is left of a weight of 1 after so long; more than 1 before."""
    return float(2.0 ** (-seconds / half_life))


def _clicked(stats: ItemStatistics, update: ItemUpdate, settings: StatisticsSettings) -> ItemStatistics:
    """With one more click on the item itself, in or out of order."""
    last = max(stats.last_click, update.timestamp) if stats.clicks else update.timestamp
    passed, late = last - stats.last_click, last - update.timestamp
    before = stats.popularity
    if len(before) != len(settings.half_lives):  # a new item, or the setting has changed
        before = (0.0,) * len(settings.half_lives)
    return replace(
        stats,
        clicks=stats.clicks + update.weight,
        first_click=min(stats.first_click, update.timestamp) if stats.clicks else update.timestamp,
        last_click=last,
        popularity=tuple(
            count * decay(passed, half) + update.weight * decay(late, half)
            for count, half in zip(before, settings.half_lives, strict=True)
        ),
    )


def _landed(stats: ItemStatistics, landmark: float, settings: StatisticsSettings) -> ItemStatistics:
    """The same with a nearer landmark, so that weights stay within floating point."""
    factor = decay(landmark - stats.landmark, settings.lately)
    return replace(stats, landmark=landmark, lately={other: weight * factor for other, weight in stats.lately.items()})


def _paired(stats: ItemStatistics, update: ItemUpdate, settings: StatisticsSettings) -> tuple[dict[str, float], ...]:
    """`together`, `lately` and `after` with the update's pairs; past the slack only the strongest neighbours stay."""
    together, lately, after = dict(stats.together), dict(stats.lately), dict(stats.after)
    fresh = decay(stats.landmark - update.timestamp, settings.lately)
    for pairs, later in ((update.earlier, 0.0), (update.later, 1.0)):
        for other, near in pairs:
            together[other] = together.get(other, 0.0) + near
            lately[other] = lately.get(other, 0.0) + near * fresh
            after[other] = after.get(other, 0.0) + near * later
    if len(together) <= _SLACK * settings.neighbours:
        return together, lately, after
    aged = decay(max(stats.updated, update.timestamp) - stats.landmark, settings.lately)
    strength = {other: weight + 2.0 * lately[other] * aged for other, weight in together.items()}
    kept = _strongest(strength, settings.neighbours)
    return tuple({other: values[other] for other in kept} for values in (together, lately, after))


def _followed(stats: ItemStatistics, follower: str, settings: StatisticsSettings) -> Mapping[str, float]:
    followers = dict(stats.followers)
    followers[follower] = followers.get(follower, 0.0) + 1.0
    if len(followers) <= _SLACK * settings.followers:
        return followers
    return {other: followers[other] for other in _strongest(followers, settings.followers)}


def _strongest(strength: Mapping[str, float], count: int) -> list[str]:
    """Lossy counting (Manku & Motwani, VLDB 2002): the weakest go, anyone may come back; of equals the newest stay."""
    newest = list(strength)[::-1]
    return sorted(newest, key=strength.__getitem__, reverse=True)[:count]


class Summary(msgspec.Struct, array_like=True, frozen=True):
    """An item's statistics but for who goes with it."""

    updated: float
    landmark: float
    clicks: float
    first_click: float
    last_click: float
    popularity: tuple[float, ...]
    pairs: float
    followed: float


class Stored(Summary, array_like=True, frozen=True):
    """All of them, as they are stored."""

    neighbours: tuple[str, ...]
    together: tuple[float, ...]
    lately: tuple[float, ...]
    after: tuple[float, ...]
    followers: Mapping[str, float]
    watermarks: Mapping[int, int]


class _Progress(msgspec.Struct, array_like=True):
    """`Stored`, with all but the watermarks not looked at."""

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
    """The beginning of `Stored`."""

    updated: msgspec.Raw
    landmark: msgspec.Raw
    clicks: float
    first_click: msgspec.Raw
    last_click: float


_encoder = msgspec.msgpack.Encoder()
_stored = msgspec.msgpack.Decoder(Stored)
_progress = msgspec.msgpack.Decoder(_Progress)
_weight = msgspec.msgpack.Decoder(_Weight)
_summary = msgspec.msgpack.Decoder(Summary)


def encode_statistics(stats: ItemStatistics) -> bytes:
    """Version byte, then msgpack."""
    return bytes([STATISTICS_VERSION]) + _encoder.encode(stored(stats))


def stored(stats: ItemStatistics) -> Stored:
    """The statistics as they are stored."""
    return Stored(
        stats.updated,
        stats.landmark,
        stats.clicks,
        stats.first_click,
        stats.last_click,
        stats.popularity,
        stats.pairs,
        stats.followed,
        tuple(stats.together),
        tuple(stats.together.values()),
        tuple(stats.lately.values()),
        tuple(stats.after.values()),
        stats.followers,
        stats.watermarks,
    )


def decode_statistics(data: bytes) -> ItemStatistics:
    """The statistics these bytes hold; raises PoisonEvent or NewerVersion."""
    wire = decode_stored(data)
    return ItemStatistics(
        wire.updated,
        wire.landmark,
        wire.clicks,
        wire.first_click,
        wire.last_click,
        wire.popularity,
        wire.pairs,
        wire.followed,
        dict(zip(wire.neighbours, wire.together, strict=True)),
        dict(zip(wire.neighbours, wire.lately, strict=True)),
        dict(zip(wire.neighbours, wire.after, strict=True)),
        wire.followers,
        wire.watermarks,
    )


def decode_stored(data: bytes) -> Stored:
    """The same, as they are stored."""
    try:
        wire = _stored.decode(_body(data))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PoisonEvent("statistics", str(error)) from error
    if not len(wire.neighbours) == len(wire.together) == len(wire.lately) == len(wire.after):
        raise PoisonEvent("statistics", "weights of more or fewer neighbours than there are")
    return wire


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
