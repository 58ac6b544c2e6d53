"""The `users` topic: erase, merge, describe."""

from __future__ import annotations

import msgspec

from stream_engine.codec.body import Headers, Limits
from stream_engine.codec.cloudevents import unwrap
from stream_engine.codec.dialects import USER, ours, rename
from stream_engine.codec.fields import convert, identifier, key_identifier
from stream_engine.errors import PoisonEvent
from stream_engine.events import UserControl

_SPELLINGS = ours(USER)
_encoder = msgspec.json.Encoder()


def decode_user_control(
    value: bytes | None,
    *,
    key: bytes | None,
    headers: Headers,
    timestamp: float,  # noqa: ARG001 every decoder is called alike
    limits: Limits,
) -> UserControl:
    """What a record says of a user, by the key if the body has no id; a null value erases. Raises PoisonEvent."""
    if value is None:
        return UserControl(user_id=key_identifier("key", key), erase=True)
    fields = rename(unwrap(value, headers, limits).body, _SPELLINGS)
    user_id = fields.get("user_id")
    fields["user_id"] = key_identifier("user_id", key) if user_id is None else identifier("user_id", user_id)
    if "merge_into" in fields:
        fields["merge_into"] = identifier("merge_into", fields["merge_into"])
        if fields["merge_into"] == fields["user_id"]:
            raise PoisonEvent("merge_into", "the user themselves")
    return convert(fields, UserControl)


def encode_user_control(control: UserControl) -> bytes | None:
    """JSON, or None (a null record) to erase."""
    return None if control.erase else _encoder.encode(control)
