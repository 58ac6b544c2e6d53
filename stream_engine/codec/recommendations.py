"""The `recommendations` topic: one user's list."""

from __future__ import annotations

import msgspec

from stream_engine.codec.fields import poison
from stream_engine.errors import PoisonEvent
from stream_engine.events import Recommendation

_decoder = msgspec.json.Decoder(Recommendation)
_encoder = msgspec.json.Encoder()


def decode_recommendation(value: bytes) -> Recommendation:
    """The list; fields of later versions are ignored; raises PoisonEvent naming the field."""
    try:
        return _decoder.decode(value)
    except msgspec.ValidationError as error:
        raise poison(error) from None
    except RecursionError:
        raise PoisonEvent("value", "nested too deeply") from None
    except ValueError as error:
        raise PoisonEvent("value", f"not JSON in UTF-8: {error}") from None


def encode_recommendation(recommendation: Recommendation) -> bytes:
    """JSON with every field."""
    return _encoder.encode(recommendation)
