"""Bytes to a JSON object, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stream_engine.errors import PoisonEvent

Headers = Sequence[tuple[str, bytes]]
Fields = dict[str, Any]

MAX_DEPTH = 32

_objects = msgspec.json.Decoder(Fields)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far after its record an event may claim to be (seconds), and how large a record may be."""

    max_future: float = 86_400.0
    max_bytes: int = 1_000_000


def parse(value: bytes, limits: Limits) -> Fields:
    """The JSON object in `value`; raises PoisonEvent naming `value` for anything else."""
    if len(value) > limits.max_bytes:
        raise PoisonEvent("value", f"{len(value)} bytes, and {limits.max_bytes} are accepted")
    try:
        return _objects.decode(value)
    except RecursionError:
        raise PoisonEvent("value", "nested too deeply") from None
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError
        raise PoisonEvent("value", f"not a JSON object in UTF-8: {error}") from None


def check_attributes(value: Any, depth: int = 0) -> None:
    """Refuse what a store further on could not write: deep nesting, integers beyond 64 bits."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise PoisonEvent("attributes", "an integer beyond 64 bits")
    if isinstance(value, (dict, list)):
        if depth > MAX_DEPTH:
            raise PoisonEvent("attributes", f"nested deeper than {MAX_DEPTH}")
        for part in value.values() if isinstance(value, dict) else value:
            check_attributes(part, depth + 1)
