"""What clicks taught about one item: popularity, neighbours, followers. A value, bounded, counted once.

Decay is forward (Cormode et al., ICDE 2009): recent pairs are kept as they weigh at a fixed `landmark`, so that time
passing changes none of them and one click changes only its own pairs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stream_engine.errors import PoisonEvent
from stream_engine.versions import refuse_newer

STATISTICS_VERSION = 2
_WIDTH = 4  # bytes of a packed weight


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
    """All of them, bounded, as they are stored; weights are packed float32, little-endian, one per neighbour."""

    neighbours: tuple[str, ...]
    together: bytes  # pair weight of each neighbour
    lately: bytes  # the same, decayed
    after: bytes  # and only of pairs where they came later
    followers: Mapping[str, float]  # clicks right after one on this item
    watermarks: Mapping[int, int]  # last offset counted, by partition

    def by_neighbour(self, weights: bytes) -> dict[str, float]:
        """Such weights by the neighbour's id."""
        return dict(zip(self.neighbours, floats(weights), strict=True))


def packed(weights: Iterable[float]) -> bytes:
    """Weights as they are stored: thousands of items a second are, and a number of its own costs more to fetch."""
    return array("f", weights).tobytes()


def floats(weights: bytes) -> array[float]:
    """What is packed, to be added to."""
    return array("f", weights)


class _First(Summary, array_like=True, frozen=True):
    """All of them as version 1 has them, whose weights are numbers."""

    neighbours: tuple[str, ...]
    together: tuple[float, ...]
    lately: tuple[float, ...]
    after: tuple[float, ...]
    followers: Mapping[str, float]
    watermarks: Mapping[int, int]

    def packed(self) -> ItemStatistics:
        """The same as they are stored now."""
        fields = msgspec.structs.asdict(self)
        return ItemStatistics(**fields | {name: packed(fields[name]) for name in ("together", "lately", "after")})


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
_first = msgspec.msgpack.Decoder(_First)
_progress = msgspec.msgpack.Decoder(_Progress)
_weight = msgspec.msgpack.Decoder(_Weight)
_summary = msgspec.msgpack.Decoder(Summary)


def encode_statistics(stats: ItemStatistics) -> bytes:
    """Version byte, then msgpack."""
    return bytes([STATISTICS_VERSION]) + _encoder.encode(stats)


def decode_statistics(data: bytes) -> ItemStatistics:
    """The statistics these bytes hold; raises PoisonEvent or NewerVersion."""
    try:
        body = _body(data)
        stats = _first.decode(body).packed() if data[0] == 1 else _statistics.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PoisonEvent("statistics", str(error)) from error
    if not _WIDTH * len(stats.neighbours) == len(stats.together) == len(stats.lately) == len(stats.after):
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
    if not data or not 1 <= data[0] <= STATISTICS_VERSION:  # every version so far is read
        raise PoisonEvent("statistics", f"unknown version {data[:1]!r}")
    return memoryview(data)[1:]
