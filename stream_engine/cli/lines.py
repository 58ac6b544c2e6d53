"""JSON lines and the records they become. Pure."""

from __future__ import annotations

from enum import StrEnum

from stream_engine.codec.body import Fields, Headers, Limits
from stream_engine.codec.cloudevents import unwrap
from stream_engine.codec.dialects import INTERACTION, ITEM, USER, ours, rename
from stream_engine.codec.fields import identifier
from stream_engine.errors import PoisonEvent
from stream_engine.streaming.sending import Outgoing

UNLIMITED = Limits(max_bytes=1 << 40)  # what is too large is the engine's to say


class Kind(StrEnum):
    """What can be produced."""

    clicks = "clicks"
    items = "items"
    users = "users"


SPELLINGS = {Kind.clicks: ours(INTERACTION), Kind.items: ours(ITEM), Kind.users: ours(USER)}
KEYS = {Kind.clicks: ("user_id", "anonymous_id"), Kind.items: ("item_id",), Kind.users: ("user_id",)}
KEYLESS = {Kind.clicks: None, Kind.items: b"", Kind.users: b""}  # a compacted topic takes no record without a key


def outgoing(kind: Kind, line: bytes, headers: Headers = ()) -> tuple[Outgoing, str | None]:
    """The record for a line, and a warning where its key is not to be found.

    The line itself is sent as it is, whatever it holds, but for `{"item_id": .., "deleted": true}` and
    `{"user_id": .., "erase": true}`, which become a null record.
    """
    try:
        fields = _fields(kind, line, headers)
        key = _key(kind, fields)
    except PoisonEvent as error:
        return Outgoing(KEYLESS[kind], line, headers), f"sent without a key: {error}"
    if kind is Kind.items and (fields.get("attributes") or {}).get("deleted") is True:
        return Outgoing(key, None, headers), None
    if kind is Kind.users and fields.get("erase") is True:
        return Outgoing(key, None, headers), None
    return Outgoing(key, line, headers), None


def header(text: str) -> tuple[str, bytes]:
    """`NAME=VALUE` as a record header; ValueError otherwise."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value.encode()


def _fields(kind: Kind, line: bytes, headers: Headers) -> Fields:
    return rename(unwrap(line, headers, UNLIMITED).body, SPELLINGS[kind])


def _key(kind: Kind, fields: Fields) -> bytes:
    for name in KEYS[kind]:
        if fields.get(name, "") != "":
            return identifier(name, fields[name]).encode("utf-8", "surrogatepass")
    raise PoisonEvent(KEYS[kind][0], "missing")
