import json
import time
from typing import Any

import pytest

from stream_engine.codec import Headers, Limits, decode_interaction, encode_interaction
from stream_engine.errors import PoisonEvent
from stream_engine.events import Interaction, Item

NOW = 1_700_000_000.0
LIMITS = Limits(max_future=60, max_bytes=10_000)
LEAST = {"user_id": "u", "item_id": "i"}


def decode(body: Any, *, key: bytes | None = None, headers: Headers = (), timestamp: float = NOW) -> Interaction:
    value = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return decode_interaction(value, key=key, headers=headers, timestamp=timestamp, limits=LIMITS)


def refused(body: Any, **record: Any) -> PoisonEvent:
    with pytest.raises(PoisonEvent) as caught:
        decode(body, **record)
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    return caught.value


def test_the_least_a_click_needs() -> None:
    assert decode(LEAST) == Interaction(user_id="u", item_id="i", timestamp=NOW)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2023-11-14T22:13:10Z", NOW - 10),
        ("2023-11-14T22:13:10", NOW - 10),
        ("2023-11-14T23:13:10.5+01:00", NOW - 9.5),
        ("2023-11-14", 1_699_920_000.0),
        (1_699_999_990, NOW - 10),
        (1_699_999_990.5, NOW - 9.5),
        (1_699_999_990_500, NOW - 9.5),
        (NOW + 60, NOW + 60),
        (0, NOW),
        (None, NOW),
        (1, 1.0),
    ],
)
def test_times(said: Any, kept: float) -> None:
    assert decode(LEAST | {"timestamp": said}).timestamp == kept


@pytest.mark.parametrize(
    "said",
    [
        -1,
        -1e12,
        NOW + 61,
        32_503_680_000,
        "3000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        "yesterday",
        "1700000000",
        "",
        True,
        [],
        {},
        10**300,
        10**400,
    ],
)
def test_times_that_cannot_be(said: Any) -> None:
    assert refused(LEAST | {"timestamp": said}).field == "timestamp"


def test_times_without_a_zone_are_utc_wherever_we_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        found = decode(LEAST | {"timestamp": "2023-11-14T22:13:10"}).timestamp
    time.tzset()
    assert found == NOW - 10


@pytest.mark.parametrize("received", [float("nan"), float("inf"), -1.0, 4e10])
def test_a_record_without_a_sane_time_does_not_lend_it(received: float) -> None:
    assert refused(LEAST, timestamp=received).field == "timestamp"


def test_an_event_may_date_itself_when_its_record_cannot() -> None:
    assert decode(LEAST | {"timestamp": NOW}, timestamp=-1.0).timestamp == NOW


def test_an_account_wins_over_an_anonymous_id() -> None:
    found = decode({"user_id": "u", "anonymous_id": "a", "item_id": "i"})
    assert (found.user_id, found.anonymous, found.attributes) == ("u", False, {"anonymous_id": "a"})


@pytest.mark.parametrize("account", [{}, {"user_id": None}, {"user_id": ""}])
def test_an_anonymous_id_will_do(account: dict[str, Any]) -> None:
    found = decode(account | {"anonymous_id": "a", "item_id": "i"}, key=b"k")
    assert (found.user_id, found.anonymous) == ("a", True)


def test_so_will_the_key() -> None:
    found = decode({"item_id": "i"}, key="ü".encode())
    assert (found.user_id, found.anonymous) == ("ü", False)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"k" * 513])
def test_a_user_is_required(key: bytes | None) -> None:
    assert refused({"item_id": "i"}, key=key).field == "user_id"


@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "item_id", "event_id", "session_id", "recommendation_id"])
def test_integer_ids_become_text(field: str) -> None:
    found = decode({"item_id": "i", field: 42} | ({} if field in ("user_id", "anonymous_id") else {"user_id": "u"}))
    assert getattr(found, "user_id" if field == "anonymous_id" else field) == "42"


@pytest.mark.parametrize("wrong", [1.5, True, ["x"], {"x": 1}, "x" * 513, 10**600])
@pytest.mark.parametrize("field", ["user_id", "item_id", "event_id", "session_id", "recommendation_id"])
def test_ids_of_no_use(field: str, wrong: Any) -> None:
    assert refused(LEAST | {field: wrong}).field == field


@pytest.mark.parametrize("field", ["event_id", "session_id", "recommendation_id"])
def test_empty_optional_ids_are_absent(field: str) -> None:
    assert getattr(decode(LEAST | {field: ""}), field) is None


def test_half_a_surrogate_is_refused() -> None:
    assert refused(rb'{"user_id": "\ud800", "item_id": "i"}').field == "value"
    assert refused(rb'{"user_id": "u", "item_id": "\udc00"}').field == "value"


@pytest.mark.parametrize("body", [{"user_id": "u"}, {"user_id": "u", "item_id": None}])
def test_an_item_is_required(body: dict[str, Any]) -> None:
    assert refused(body).field == "item_id"


def test_a_search_needs_no_item_but_a_query() -> None:
    found = decode({"user_id": "u", "event_type": "search", "query": "chair"})
    assert (found.item_id, found.query) == (None, "chair")
    assert refused({"user_id": "u", "event_type": "search"}).field == "query"
    assert refused({"user_id": "u", "event_type": "search", "query": ""}).field == "query"


@pytest.mark.parametrize("wrong", ["poke", "CLICK", "", 3, [], {}, True])
def test_unknown_event_types_are_refused_with_the_known_ones(wrong: Any) -> None:
    error = refused(LEAST | {"event_type": wrong})
    assert error.field == "event_type"
    assert "click" in error.reason
    assert "dwell" in error.reason


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("value", "4"),
        ("value", True),
        ("value", 10**400),
        ("position", 1.5),
        ("position", -1),
        ("position", 2**31),
        ("query", 3),
        ("anonymous", "yes"),
        ("attributes", [1]),
        ("attributes", {"n": 2**64}),
        ("attributes", {"n": [-(2**63) - 1]}),
        ("version", "1"),
        ("version", True),
        ("version", 1.5),
        ("version", 0),
        ("item", "i"),
        ("item", {"item_id": "other"}),
        ("item", {"price": "9"}),
        ("item", {"vector": []}),
    ],
)
def test_wrong_types_are_refused_by_name(field: str, wrong: Any) -> None:
    assert refused(LEAST | {field: wrong}).field.split(".")[0] == field


def test_a_wrong_field_of_the_inline_item_is_named_in_full() -> None:
    assert refused(LEAST | {"item": {"price": "9"}}).field == "item.price"
    assert refused(LEAST | {"item": {"item_id": "other"}}).field == "item.item_id"


def test_the_inline_item_and_the_interaction_lend_each_other_their_id() -> None:
    assert decode(LEAST | {"item": {"name": "Chair"}}).item == Item(item_id="i", title="Chair")
    assert decode({"user_id": "u", "item": {"id": 7}}).item_id == "7"
    assert refused({"user_id": "u", "item": {"title": "Chair"}}).field == "item.item_id"


def test_unknown_fields_are_kept() -> None:
    found = decode(LEAST | {"page": "/", "deep": {"a": [1, None]}, "attributes": {"page": "mine"}})
    assert found.attributes == {"page": "mine", "deep": {"a": [1, None]}}


def test_later_versions_are_read() -> None:
    found = decode(LEAST | {"version": 7, "new_field": 1})
    assert (found.version, found.attributes) == (7, {"new_field": 1})


@pytest.mark.parametrize("alias", ["eventId", "messageId"])
def test_our_spelling_wins_and_the_other_is_kept(alias: str) -> None:
    for body in ({alias: "x", "event_id": "e"}, {"event_id": "e", alias: "x"}):
        found = decode(LEAST | body)
        assert (found.event_id, found.attributes) == ("e", {alias: "x"})
    assert decode(LEAST | {alias: "x", "event_id": None}).event_id == "x"


def test_google_products_are_one_an_event() -> None:
    one = {"product": {"id": "p"}}
    assert decode({"user_id": "u", "productDetails": [one]}).item_id == "p"
    for wrong in ([], [one, one], [{}], [{"product": {}}], ["p"], {}, "", 1.5):
        assert refused({"user_id": "u", "productDetails": wrong}).field == "item_id"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b"[]",
        b'"click"',
        b"7",
        b"{",
        b'{"user_id": "u"} {}',
        b'{"user_id": NaN}',
        b'{"value": 1e999}',
        b"\xff\xfe",
        b'{"user_id": "\xff"}',
        b"[" * 9_999,
        b'{"a":' * 1_900,
        b'{"n":' + b"9" * 4_301 + b"}",
        b" " * 10_001,
    ],
)
def test_values_that_are_no_event(value: bytes | None) -> None:
    error = refused(value)
    assert error.field == "value"
    assert len(error.reason) < 200


def test_deep_attributes_are_refused() -> None:
    error = refused(b'{"user_id":"u","item_id":"i","a":' + b"[" * 40 + b"]" * 40 + b"}")
    assert error.field == "attributes"


def test_a_large_record_is_refused_before_it_is_read() -> None:
    at_most = json.dumps(LEAST).encode()
    limits = Limits(max_bytes=len(at_most))
    assert decode_interaction(at_most, key=None, headers=(), timestamp=NOW, limits=limits).user_id == "u"
    with pytest.raises(PoisonEvent, match=r"^value: "):
        decode_interaction(at_most + b" ", key=None, headers=(), timestamp=NOW, limits=limits)


def test_what_we_write_we_read() -> None:
    full = Interaction(
        user_id="u",
        event_type="rating",
        item_id="i",
        timestamp=NOW,
        event_id="e",
        session_id="s",
        value=-1.5,
        recommendation_id="r",
        position=0,
        query="q",
        item=Item(item_id="i", title="t", vector=(1.0, 2.0), expires_at=NOW),
        anonymous=True,
        attributes={"a": {"b": [None, 1.5]}},
        version=3,
    )
    assert decode(encode_interaction(full)) == full
