"""What one click says about items: the messages between the users' workers and the items' owners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from stream_engine.errors import PoisonEvent
from stream_engine.events import Id, Source
from stream_engine.versions import refuse_newer

UPDATES_VERSION = 1
Place = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[float, msgspec.Meta(ge=0, le=2**36)]  # seconds: beyond the year 3000
Weight = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Pairs = Annotated[tuple[tuple[Id, Weight], ...], msgspec.Meta(max_length=1_000)]


class ItemUpdate(msgspec.Struct, frozen=True, array_like=True):
    """What one click says about one item; (partition, offset) is the click's place in the log."""

    item_id: Id
    partition: Place
    offset: Place
    timestamp: Moment
    weight: Weight = 0.0  # of the click on this item; 0: another item was clicked
    earlier: Pairs = ()  # items clicked before it, weighted by nearness
    later: Pairs = ()  # items clicked after it
    follower: Id | None = None  # the item clicked right after it


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
    for distance, (other, near) in enumerate(others):
        follower = item_id if distance == 0 and other == before[0] else None
        updates.append(ItemUpdate(other, *place, later=((item_id, near),), follower=follower))
    return updates


def encode_updates(updates: Sequence[ItemUpdate]) -> bytes:
    """Version byte, then msgpack."""
    return bytes([UPDATES_VERSION]) + _encoder.encode(updates)


def decode_updates(data: bytes) -> tuple[ItemUpdate, ...]:
    """The updates these bytes hold, in order; raises PoisonEvent or NewerVersion."""
    refuse_newer(data, UPDATES_VERSION, "updates of items")
    if not data or data[0] != UPDATES_VERSION:
        raise PoisonEvent("updates", f"unknown version {data[:1]!r}")
    try:
        return _decoder.decode(data[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise PoisonEvent("updates", str(error)) from error
