import json
from typing import Any

import pytest

from stream_engine.codec import Limits, decode_item, encode_item
from stream_engine.errors import PoisonEvent
from stream_engine.events import Item, ItemDeleted

NOW = 1_700_000_000.0


def decode(body: Any, key: bytes | None = None) -> Item | ItemDeleted:
    value = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return decode_item(value, key=key, headers=(), timestamp=NOW, limits=Limits())


def refused(body: Any, key: bytes | None = None) -> str:
    with pytest.raises(PoisonEvent) as caught:
        decode(body, key)
    return caught.value.field


def test_null_deletes_by_key() -> None:
    assert decode(None, b"i") == ItemDeleted("i")


@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_null_without_a_key_deletes_nothing(key: bytes | None) -> None:
    assert refused(None, key) == "key"


def test_the_id_is_in_the_body_or_the_key() -> None:
    assert decode({"item_id": 5}, b"k") == Item(item_id="5")
    assert decode({"title": "t"}, b"k") == Item(item_id="k", title="t")
    assert refused({"title": "t"}) == "item_id"


def test_our_data_files_are_read() -> None:
    found = decode({"item_id": "i", "title": "t", "text": "d", "category": ["a", "b"]})
    assert found == Item(item_id="i", title="t", description="d", categories=("a", "b"))


def test_one_category_may_be_text() -> None:
    assert decode({"item_id": "i", "category": "a"}) == Item(item_id="i", categories=("a",))


def test_unknown_fields_are_kept() -> None:
    assert decode({"item_id": "i", "colour": "red"}) == Item(item_id="i", attributes={"colour": "red"})


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("title", 3),
        ("description", ["x"]),
        ("categories", [1]),
        ("categories", {"a": 1}),
        ("price", "9.90"),
        ("price", 10**400),
        ("available", "yes"),
        ("available", 1),
        ("published_at", "soon"),
        ("published_at", "3000-01-01"),
        ("published_at", -7e10),
        ("expires_at", [1]),
        ("attributes", "x"),
        ("vector", []),
        ("vector", [1, None]),
        ("vector", [1e10]),
        ("vector", "x"),
        ("vector", [0.0] * 8193),
        ("version", "2"),
    ],
)
def test_wrong_fields_are_refused_by_name(field: str, wrong: Any) -> None:
    assert refused({"item_id": "i", field: wrong}).split("[")[0] == field


def test_numbers_beyond_a_float_are_no_json_for_us() -> None:
    assert refused(b'{"item_id":"i","vector":[1e999]}') == "value"
    assert refused(b'{"item_id":"i","price":NaN}') == "value"


def test_times_may_be_long_ago_and_never() -> None:
    film = decode({"item_id": "i", "published_at": "1913-05-09", "expires_at": "9999-12-31T23:59:59Z"})
    assert film == Item(item_id="i", published_at=-1_787_702_400.0, expires_at=None)


def test_what_we_write_we_read() -> None:
    item = Item(
        item_id="i",
        title="t",
        description="d",
        categories=("a",),
        price=-0.5,
        available=False,
        published_at=-5.0,
        expires_at=NOW,
        attributes={"a": 1},
        vector=(0.25,),
        version=2,
    )
    assert decode(encode_item(item)) == item
