"""What is remembered of a user: a value, pure functions on it, and its versioned bytes."""

from stream_engine.users.codec import MAX_BYTES, VERSION, BadState, decode_state, encode_state, last_active, marks
from stream_engine.users.history import Entry, context, entries, is_counted, item_hash, recent, seen_hashes
from stream_engine.users.joining import merge, with_attributes
from stream_engine.users.state import UserState, interest_vectors, interests_of, is_new, next_offset, space_of
from stream_engine.users.updates import advance

__all__ = [
    "MAX_BYTES",
    "VERSION",
    "BadState",
    "Entry",
    "UserState",
    "advance",
    "context",
    "decode_state",
    "encode_state",
    "entries",
    "interest_vectors",
    "interests_of",
    "is_counted",
    "is_new",
    "item_hash",
    "last_active",
    "marks",
    "merge",
    "next_offset",
    "recent",
    "seen_hashes",
    "space_of",
    "with_attributes",
]
