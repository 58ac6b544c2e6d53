import json
from typing import Any

import pytest

from stream_engine.codec import Limits, decode_user_control, encode_user_control
from stream_engine.errors import PoisonEvent
from stream_engine.events import UserControl


def decode(body: Any, key: bytes | None = b"u") -> UserControl:
    value = None if body is None else json.dumps(body).encode()
    return decode_user_control(value, key=key, headers=(), timestamp=1.0, limits=Limits())


def refused(body: Any, key: bytes | None = b"u") -> str:
    with pytest.raises(PoisonEvent) as caught:
        decode(body, key)
    return caught.value.field


def test_null_erases_by_key() -> None:
    assert decode(None) == UserControl(user_id="u", erase=True)
    assert encode_user_control(decode(None)) is None
    assert refused(None, None) == "key"


def test_merge() -> None:
    assert decode({"merge_into": 7}) == UserControl(user_id="u", merge_into="7")
    assert refused({"merge_into": "u"}) == "merge_into"
    assert refused({"merge_into": ""}) == "merge_into"


def test_attributes() -> None:
    assert decode({"userId": "v", "traits": {"a": 1}, "b": 2}) == UserControl(user_id="v", attributes={"a": 1, "b": 2})
    assert refused({"traits": 3}) == "attributes"


def test_a_user_is_required() -> None:
    assert refused({"merge_into": "v"}, None) == "user_id"
    assert refused({"user_id": ""}) == "user_id"


def test_what_we_write_we_read() -> None:
    control = UserControl(user_id="u", merge_into="v", attributes={"a": [1]}, version=2)
    value = encode_user_control(control)
    assert decode_user_control(value, key=None, headers=(), timestamp=1.0, limits=Limits()) == control
