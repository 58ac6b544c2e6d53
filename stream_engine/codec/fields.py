"""Single fields: what shops send, made what we keep; every refusal names the field."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from stream_engine.codec.body import Fields
from stream_engine.errors import PoisonEvent

MAX_ID = 512
YEAR_1 = -62_135_596_800.0
YEAR_3000 = 32_503_680_000.0
_MILLISECONDS_FROM = 1e11  # in seconds the year 5138, in milliseconds March 1973

_PATH = re.compile(r"^(?P<reason>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$")

Kind = TypeVar("Kind")


def identifier(field: str, value: Any) -> str:
    """An id of 1 to 512 characters; JSON integers become their decimal text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise PoisonEvent(field, f"expected a string or an integer, got {type(value).__name__}")
    if not 1 <= len(value) <= MAX_ID:
        raise PoisonEvent(field, f"expected 1 to {MAX_ID} characters, got {len(value)}")
    return value


def key_identifier(field: str, key: bytes | None) -> str:
    """The record's key as an id, for records that do not say it in the body."""
    if not key:
        raise PoisonEvent(field, "missing, and the record has no key")
    try:
        return identifier(field, key.decode())
    except UnicodeDecodeError:
        raise PoisonEvent(field, "missing, and the record's key is not UTF-8") from None


def seconds(field: str, value: Any) -> float:
    """Epoch seconds, from ISO 8601 (UTC unless it says) or epoch seconds or milliseconds; none before the year 1."""
    try:
        moment = _moment(value)
    except (TypeError, ValueError, OverflowError):
        shown = repr(value[:40]) if isinstance(value, str) else type(value).__name__
        raise PoisonEvent(field, f"expected ISO 8601 or epoch seconds or milliseconds, got {shown}") from None
    if moment < YEAR_1:
        raise PoisonEvent(field, "before the year 1")
    return moment


def _moment(value: Any) -> float:
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return value / 1000 if abs(value) > _MILLISECONDS_FROM else float(value)


def convert(fields: Fields, kind: type[Kind]) -> Kind:
    """`fields` as a validated `kind`; raises PoisonEvent naming the first field that is wrong."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise poison(error) from None


def poison(error: msgspec.ValidationError) -> PoisonEvent:
    """What msgspec found wrong, with the field in front."""
    reason, path = str(error), ""
    if found := _PATH.match(reason):
        reason, path = found["reason"], found["path"]
    if found := _MISSING.match(reason):
        reason, path = "missing", f"{path}.{found['name']}".lstrip(".")
    return PoisonEvent(path or "value", reason)
