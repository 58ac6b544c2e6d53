"""What the item-state topic holds of one catalogue item, and its versioned bytes."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from stream_engine.errors import PoisonEvent
from stream_engine.events import Item
from stream_engine.vectors import Vector, unit
from stream_engine.versions import refuse_newer

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueRecord:
    """One item as ranking needs it; `vector` is a unit vector or None, times are epoch seconds."""

    item_id: str
    title: str = ""
    categories: tuple[str, ...] = ()
    price: float | None = None
    available: bool = True
    published_at: float | None = None
    expires_at: float | None = None
    first_seen: float = 0.0
    vector: Vector | None = None
    fingerprint: str = ""


class _Wire(msgspec.Struct, array_like=True):
    item_id: str
    title: str
    categories: tuple[str, ...]
    price: float | None
    available: bool
    published_at: float | None
    expires_at: float | None
    first_seen: float
    vector: bytes | None  # little-endian float16
    fingerprint: str


_decoder = msgspec.msgpack.Decoder(_Wire)
_encoder = msgspec.msgpack.Encoder()


def record_of(item: Item, *, first_seen: float, vector: Vector | None, fingerprint: str) -> CatalogueRecord:
    """The record of an announced item; its own vector, if any, gives way to the encoder's."""
    return CatalogueRecord(
        item_id=item.item_id,
        title=item.title,
        categories=item.categories,
        price=item.price,
        available=item.available,
        published_at=item.published_at,
        expires_at=item.expires_at,
        first_seen=first_seen,
        vector=vector,
        fingerprint=fingerprint,
    )


def encode_record(record: CatalogueRecord) -> bytes:
    """Version byte, then msgpack; the vector at half precision."""
    vector = None if record.vector is None else np.asarray(record.vector, dtype="<f2").tobytes()
    wire = _Wire(
        record.item_id,
        record.title,
        record.categories,
        record.price,
        record.available,
        record.published_at,
        record.expires_at,
        record.first_seen,
        vector,
        record.fingerprint,
    )
    return bytes([RECORD_VERSION]) + _encoder.encode(wire)


def decode_record(data: bytes) -> CatalogueRecord:
    """The record these bytes hold; raises PoisonEvent or NewerVersion."""
    refuse_newer(data, RECORD_VERSION, "an item's record")
    if not data or data[0] != RECORD_VERSION:
        raise PoisonEvent("record", f"unknown version {data[:1]!r}")
    try:
        wire = _decoder.decode(data[1:])
        vector = None if wire.vector is None else unit(np.frombuffer(wire.vector, dtype="<f2"))
    except (msgspec.MsgspecError, ValueError) as error:
        raise PoisonEvent("record", str(error)) from error
    return CatalogueRecord(
        wire.item_id,
        wire.title,
        wire.categories,
        wire.price,
        wire.available,
        wire.published_at,
        wire.expires_at,
        wire.first_seen,
        vector,
        wire.fingerprint,
    )
