"""The `items` topic: an item, or null for one that is gone."""

from __future__ import annotations

import msgspec

from stream_engine.codec.body import Fields, Headers, Limits
from stream_engine.codec.cloudevents import unwrap
from stream_engine.codec.dialects import ITEM, ours, rename
from stream_engine.codec.fields import YEAR_3000, convert, identifier, key_identifier, seconds
from stream_engine.errors import PoisonEvent
from stream_engine.events import Item, ItemDeleted

_SPELLINGS = ours(ITEM)
_encoder = msgspec.json.Encoder()


def decode_item(
    value: bytes | None,
    *,
    key: bytes | None,
    headers: Headers,
    timestamp: float,  # noqa: ARG001 every decoder is called alike
    limits: Limits,
) -> Item | ItemDeleted:
    """The item in a record, its id from the key if the body has none; a null value deletes. Raises PoisonEvent."""
    if value is None:
        return ItemDeleted(key_identifier("key", key))
    body = unwrap(value, headers, limits).body
    fields = rename(body, _SPELLINGS)
    if "item_id" not in fields:
        fields["item_id"] = key_identifier("item_id", key)
    return _item(fields)


def inline_item(body: object, item_id: object) -> Item:
    """The item inside an interaction, whose id it takes if it has none; raises PoisonEvent naming `item.…`."""
    if not isinstance(body, dict):
        raise PoisonEvent("item", f"expected an object, got {type(body).__name__}")
    try:
        return _item({"item_id": item_id} | rename(body, _SPELLINGS))
    except PoisonEvent as error:
        raise PoisonEvent(f"item.{error.field}", error.reason) from None


def encode_item(item: Item) -> bytes:
    """JSON; a deleted item is a record without value."""
    return _encoder.encode(item)


def _item(fields: Fields) -> Item:
    fields["item_id"] = identifier("item_id", fields["item_id"])
    if isinstance(fields.get("categories"), str):
        fields["categories"] = (fields["categories"],)
    if "published_at" in fields:
        fields["published_at"] = _published(fields["published_at"])
    if "expires_at" in fields:
        fields["expires_at"] = _expiry(fields["expires_at"])
    return convert(fields, Item)


def _published(value: object) -> float:
    moment = seconds("published_at", value)
    if moment >= YEAR_3000:
        raise PoisonEvent("published_at", "after the year 3000")
    return moment


def _expiry(value: object) -> float | None:
    """Shops write the year 9999 for never."""
    moment = seconds("expires_at", value)
    return moment if moment < YEAR_3000 else None
