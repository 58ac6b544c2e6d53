"""What one click says about items: the messages between the users' workers and the items' owners."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream_engine.errors import PoisonEvent
from stream_engine.events import Source

UPDATES_VERSION = 1


class ItemUpdate(msgspec.Struct, frozen=True, array_like=True):
    """What one click says about one item; (partition, offset) is the click's place in the log."""

    item_id: str
    partition: int
    offset: int
    timestamp: float
    weight: float = 0.0  # of the click on this item; 0: another item was clicked
    pairs: tuple[tuple[str, float], ...] = ()  # items clicked together with it, weighted by nearness
    follower: str | None = None  # the item clicked right after this one


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[ItemUpdate, ...])


def updates_of(
    item_id: str, before: Sequence[str], *, source: Source, timestamp: float, weight: float, fade: float
) -> list[ItemUpdate]:
    """One update per item touched by a click on `item_id` after the items `before` (newest first, each once).

    The clicked item is paired with each of them, and each of them with it, weighted fade^distance.
    """
    others = [(other, fade**distance) for distance, other in enumerate(before) if other != item_id]
    place = (source.partition, source.offset, timestamp)
    updates = [ItemUpdate(item_id, *place, weight, tuple(others))]
    follows = before[0] if before and before[0] != item_id else None
    for other, near in others:
        follower = item_id if other == follows else None
        updates.append(ItemUpdate(other, *place, 0.0, ((item_id, near),), follower))
    return updates


def encode_updates(updates: Sequence[ItemUpdate]) -> bytes:
    """Version byte, then msgpack."""
    return bytes([UPDATES_VERSION]) + _encoder.encode(updates)


def decode_updates(data: bytes) -> tuple[ItemUpdate, ...]:
    """The updates these bytes hold, in order; raises PoisonEvent."""
    if not data or data[0] != UPDATES_VERSION:
        raise PoisonEvent("updates", f"unknown version {data[:1]!r}")
    try:
        return _decoder.decode(data[1:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise PoisonEvent("updates", str(error)) from error
