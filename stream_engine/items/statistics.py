"""What clicks taught about one item: popularity, neighbours, followers. A value, bounded, counted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from stream_engine.errors import PoisonEvent
from stream_engine.items.updates import ItemUpdate
from stream_engine.settings import StatisticsSettings

STATISTICS_VERSION = 1


class Neighbour(NamedTuple):
    """How strongly an item goes with another: over all time, lately (decayed to `updated`), right after."""

    together: float = 0.0
    lately: float = 0.0
    follows: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """Statistics of one item at event time `updated`; `popularity` holds one decayed count per half-life."""

    updated: float
    clicks: float = 0.0
    first_click: float = 0.0
    last_click: float = 0.0
    popularity: tuple[float, ...] = ()
    pairs: float = 0.0  # all pair weight ever seen, pruned neighbours included
    followed: float = 0.0  # all clicks that ever came right after one on this item
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    watermarks: Mapping[int, int] = field(default_factory=dict)


def observe(stats: ItemStatistics | None, update: ItemUpdate, settings: StatisticsSettings) -> ItemStatistics:
    """The statistics after this update; the same object if it was counted before."""
    if stats is None:
        stats = ItemStatistics(updated=update.timestamp, popularity=(0.0,) * len(settings.half_lives))
    if update.offset <= stats.watermarks.get(update.partition, -1):
        return stats
    now = max(stats.updated, update.timestamp)
    late = now - update.timestamp
    passed = now - stats.updated
    clicked = update.weight > 0
    return ItemStatistics(
        updated=now,
        clicks=stats.clicks + update.weight,
        first_click=(stats.first_click or update.timestamp) if clicked else stats.first_click,
        last_click=max(stats.last_click, update.timestamp) if clicked else stats.last_click,
        popularity=tuple(
            count * _decay(passed, half) + update.weight * _decay(late, half)
            for count, half in zip(stats.popularity, settings.half_lives, strict=True)
        ),
        pairs=stats.pairs + sum(near for _, near in update.pairs),
        followed=stats.followed + (update.follower is not None),
        neighbours=_paired(stats.neighbours, update, settings, passed=passed, late=late),
        watermarks={**stats.watermarks, update.partition: update.offset},
    )


def _paired(
    neighbours: Mapping[str, Neighbour], update: ItemUpdate, settings: StatisticsSettings, *, passed: float, late: float
) -> Mapping[str, Neighbour]:
    """The neighbours after the update's pairs; past the slack only the strongest stay (lossy counting)."""
    aged = _decay(passed, settings.lately)
    fresh = _decay(late, settings.lately)
    after = {other: Neighbour(n.together, n.lately * aged, n.follows) for other, n in neighbours.items()}
    for other, near in update.pairs:
        old = after.get(other, Neighbour())
        after[other] = Neighbour(
            old.together + near, old.lately + near * fresh, old.follows + (other == update.follower)
        )
    if len(after) <= settings.neighbours * 5 // 4:
        return after
    return _strongest(after, settings.neighbours)


def strongest_neighbours(stats: ItemStatistics, count: int) -> Mapping[str, Neighbour]:
    """At most `count` of the neighbours, none weaker than one left out."""
    return stats.neighbours if len(stats.neighbours) <= count else _strongest(stats.neighbours, count)


def _strongest(neighbours: Mapping[str, Neighbour], count: int) -> Mapping[str, Neighbour]:
    kept = sorted(neighbours, key=lambda other: (-_strength(neighbours[other]), other))[:count]
    return {other: neighbours[other] for other in kept}


def _strength(neighbour: Neighbour) -> float:
    return neighbour.together + 2.0 * neighbour.lately


def _decay(seconds: float, half_life: float) -> float:
    return float(0.5 ** (seconds / half_life))


class _Wire(msgspec.Struct, array_like=True):
    updated: float
    clicks: float
    first_click: float
    last_click: float
    popularity: tuple[float, ...]
    pairs: float
    followed: float
    neighbours: dict[str, tuple[float, float, float]]
    watermarks: dict[int, int]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode_statistics(stats: ItemStatistics) -> bytes:
    """Version byte, then msgpack."""
    wire = (
        stats.updated,
        stats.clicks,
        stats.first_click,
        stats.last_click,
        stats.popularity,
        stats.pairs,
        stats.followed,
        stats.neighbours,
        stats.watermarks,
    )
    return bytes([STATISTICS_VERSION]) + _encoder.encode(wire)


def decode_statistics(data: bytes) -> ItemStatistics:
    """The statistics these bytes hold; raises PoisonEvent."""
    if not data or data[0] != STATISTICS_VERSION:
        raise PoisonEvent("statistics", f"unknown version {data[:1]!r}")
    try:
        wire = _decoder.decode(data[1:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise PoisonEvent("statistics", str(error)) from error
    return ItemStatistics(
        wire.updated,
        wire.clicks,
        wire.first_click,
        wire.last_click,
        wire.popularity,
        wire.pairs,
        wire.followed,
        {other: Neighbour(*values) for other, values in wire.neighbours.items()},
        wire.watermarks,
    )
