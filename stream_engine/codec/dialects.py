"""What others call our fields: Google Retail, Personalize, Recombee, Gorse, Metarank, Segment, our own data files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from stream_engine.codec.body import Fields, check_attributes
from stream_engine.errors import PoisonEvent
from stream_engine.events import EventType

Names = Mapping[str, tuple[str, ...]]
PRODUCT_DETAILS = "productDetails"  # not an id but a list of products

INTERACTION: Names = {
    "event_id": ("eventId", "messageId"),
    "event_type": ("eventType", "FeedbackType", "feedbackType", "type"),
    "user_id": ("userId", "UserId"),
    "anonymous_id": ("anonymousId", "visitorId"),
    "anonymous": (),
    "session_id": ("sessionId",),
    "item_id": ("itemId", "ItemId", "productId", PRODUCT_DETAILS),
    "timestamp": ("eventTime", "sentAt", "Timestamp", "ts"),
    "value": ("eventValue", "portion"),
    "recommendation_id": ("recommendationId", "attributionToken", "recommId", "ranking"),
    "position": (),
    "query": ("searchQuery",),
    "item": (),
    "attributes": ("properties", "additionalData"),
    "version": (),
}
ITEM: Names = {
    "item_id": ("itemId", "ItemId", "id"),
    "title": ("name",),
    "description": ("text",),
    "categories": ("category", "Categories"),
    "price": (),
    "available": (),
    "published_at": ("publishedAt",),
    "expires_at": ("expiresAt",),
    "attributes": ("properties",),
    "vector": (),
    "version": (),
}
USER: Names = {
    "user_id": ("userId", "UserId"),
    "erase": (),
    "merge_into": ("mergeInto",),
    "attributes": ("properties", "traits"),
    "version": (),
}
EVENT_TYPES: Mapping[str, str] = {name: name for name in get_args(EventType)} | {
    "detail-page-view": "view",
    "add-to-cart": "add_to_cart",
    "remove-from-cart": "remove_from_cart",
    "purchase-complete": "purchase",
}


def ours(names: Names) -> dict[str, str]:
    """Every accepted spelling, to our own."""
    return {spelling: field for field, others in names.items() for spelling in (field, *others)}


def rename(body: Fields, spellings: Mapping[str, str]) -> Fields:
    """The fields under our names: ours win over aliases, nulls are absent, the unknown is kept in `attributes`."""
    fields: Fields = {}
    rest: Fields = {}
    for name, value in body.items():
        field = spellings.get(name)
        if field is None:
            rest[name] = value
        elif value is None:
            continue
        elif field != name and (field in fields or body.get(field) is not None):
            rest[name] = value
        else:
            fields[field] = value
    attributes = fields.get("attributes", {})
    if rest and isinstance(attributes, dict):
        attributes = fields["attributes"] = rest | attributes
    if attributes:
        check_attributes(attributes)
    return fields


def event_type(value: object) -> str:
    """One of our event types; raises PoisonEvent listing them."""
    known = EVENT_TYPES.get(value) if isinstance(value, str) else None
    if known is None:
        shown = repr(value[:40]) if isinstance(value, str) else type(value).__name__
        raise PoisonEvent("event_type", f"{shown} is none of {', '.join(get_args(EventType))}")
    return known


def only_product(details: list[object]) -> object:
    """The id in Google Retail's `productDetails`, which must hold one product: we take one item an event."""
    match details:
        case [{"product": {"id": item_id}}]:
            return item_id
    raise PoisonEvent("item_id", "expected an id, or productDetails with one product that has an id")
