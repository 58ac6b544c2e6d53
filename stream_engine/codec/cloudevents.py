"""CloudEvents 1.0 on Kafka: binary mode (`ce_` headers) and structured mode (the envelope is the value)."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream_engine.codec.body import Fields, Headers, Limits, parse
from stream_engine.errors import PoisonEvent


class Event(NamedTuple):
    """The event's own fields, and what an envelope says of its id and time."""

    body: Fields
    event_id: Any = None
    time: Any = None


def unwrap(value: bytes, headers: Headers, limits: Limits) -> Event:
    """The event in `value`, out of its envelope if it has one; raises PoisonEvent."""
    body = parse(value, limits)
    if headers:
        named = {name.lower(): raw for name, raw in headers}
        if _text(named, "content-type").startswith("application/cloudevents"):
            return _structured(body)
        if "ce_specversion" in named:
            _check_version("ce_specversion", _text(named, "ce_specversion"))
            return Event(body, _text(named, "ce_id") or None, _text(named, "ce_time") or None)
    if "specversion" in body and "data" in body:
        return _structured(body)
    return Event(body)


def _structured(envelope: Fields) -> Event:
    _check_version("specversion", envelope.get("specversion"))
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise PoisonEvent("data", "expected the event as a JSON object")
    return Event(data, envelope.get("id"), envelope.get("time"))


def _check_version(field: str, version: object) -> None:
    if version != "1.0":
        raise PoisonEvent(field, "expected 1.0")


def _text(headers: dict[str, bytes], name: str) -> str:
    try:
        return (headers.get(name) or b"").decode()
    except UnicodeDecodeError:
        raise PoisonEvent(name, "the header is not UTF-8") from None
