"""Bytes to values and back, for everything on a user-facing topic. For any bytes: a value or PoisonEvent."""

from stream_engine.codec.body import Headers, Limits
from stream_engine.codec.dead_letters import dead_letter_headers, decode_dead_letter
from stream_engine.codec.interactions import decode_interaction, encode_interaction
from stream_engine.codec.items import decode_item, encode_item
from stream_engine.codec.recommendations import decode_recommendation, encode_recommendation
from stream_engine.codec.users import decode_user_control, encode_user_control

__all__ = [
    "Headers",
    "Limits",
    "dead_letter_headers",
    "decode_dead_letter",
    "decode_interaction",
    "decode_item",
    "decode_recommendation",
    "decode_user_control",
    "encode_interaction",
    "encode_item",
    "encode_recommendation",
    "encode_user_control",
]
