"""The `clicks` topic: what a user did."""

from __future__ import annotations

import msgspec

from stream_engine.codec.body import Fields, Headers, Limits
from stream_engine.codec.cloudevents import unwrap
from stream_engine.codec.dialects import INTERACTION, event_type, only_product, ours, rename
from stream_engine.codec.fields import YEAR_3000, convert, identifier, key_identifier, seconds
from stream_engine.codec.items import inline_item
from stream_engine.errors import PoisonEvent
from stream_engine.events import Interaction

_SPELLINGS = ours(INTERACTION)
_OPTIONAL_IDS = ("event_id", "session_id", "recommendation_id")
_encoder = msgspec.json.Encoder()


def decode_interaction(
    value: bytes | None, *, key: bytes | None, headers: Headers, timestamp: float, limits: Limits
) -> Interaction:
    """The interaction in a record stamped `timestamp` (epoch seconds); raises PoisonEvent naming the field."""
    if value is None:
        raise PoisonEvent("value", "null, and an interaction cannot be deleted")
    event = unwrap(value, headers, limits)
    fields = rename(event.body, _SPELLINGS)
    if event.event_id is not None:
        fields.setdefault("event_id", event.event_id)
    if event.time is not None:
        fields.setdefault("timestamp", event.time)
    _ids(fields)
    _who(fields, key)
    _what(fields)
    fields["timestamp"] = _when(fields.get("timestamp", 0), timestamp, limits)
    return convert(fields, Interaction)


def encode_interaction(interaction: Interaction) -> bytes:
    """JSON, defaults left out."""
    return _encoder.encode(interaction)


def _ids(fields: Fields) -> None:
    for field in _OPTIONAL_IDS:
        if fields.get(field) == "":
            del fields[field]
        elif field in fields:
            fields[field] = identifier(field, fields[field])


def _who(fields: Fields, key: bytes | None) -> None:
    """An account wins over an anonymous id (which stays in the attributes), and both over the record's key."""
    account, visitor = fields.get("user_id", ""), fields.pop("anonymous_id", "")
    if account != "":
        fields["user_id"] = identifier("user_id", account)
        if visitor != "" and isinstance(attributes := fields.get("attributes", {}), dict):
            fields["attributes"] = attributes | {"anonymous_id": identifier("anonymous_id", visitor)}
    elif visitor != "":
        fields["user_id"], fields["anonymous"] = identifier("anonymous_id", visitor), True
    else:
        fields["user_id"] = key_identifier("user_id", key)


def _what(fields: Fields) -> None:
    """A known type; an item, from the inline one if need be, unless it is a search, which needs its query."""
    if "event_type" in fields:
        fields["event_type"] = event_type(fields["event_type"])
    item_id = fields.get("item_id")
    if isinstance(item_id, list):
        item_id = only_product(item_id)
    if item_id is not None:
        item_id = identifier("item_id", item_id)
    if "item" in fields:
        item = fields["item"] = inline_item(fields["item"], item_id)
        item_id = item_id or item.item_id
        if item.item_id != item_id:
            raise PoisonEvent("item.item_id", "differs from item_id")
    if fields.get("event_type") == "search":
        if not fields.get("query"):
            raise PoisonEvent("query", "missing, and a search needs it")
    elif item_id is None:
        raise PoisonEvent("item_id", "missing, and only a search goes without")
    fields["item_id"] = item_id


def _when(said: object, received: float, limits: Limits) -> float:
    """The event's time, or its record's when it says none or 0; never before 1970 nor long after the record."""
    happened = seconds("timestamp", said) or received
    latest = received + limits.max_future if received > 0 else YEAR_3000
    if not 0 <= happened <= min(latest, YEAR_3000):
        raise PoisonEvent(
            "timestamp", f"{happened:.15g} is not between 1970 and {limits.max_future:g} s after its record"
        )
    return happened
