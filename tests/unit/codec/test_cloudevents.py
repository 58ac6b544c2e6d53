import json
from typing import Any

import pytest

from stream_engine.codec import Headers, Limits, decode_interaction, decode_item
from stream_engine.errors import PoisonEvent
from stream_engine.events import Interaction, Item

NOW = 1_700_000_000.0
TIME = "2023-11-14T22:13:10Z"
BARE = {"event_id": "e", "timestamp": TIME, "event_type": "purchase", "user_id": "u", "item_id": "i", "page": "/"}
DATA = {name: value for name, value in BARE.items() if name not in ("event_id", "timestamp")}
BINARY = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e"),
    ("ce_source", b"/shop"),
    ("ce_type", b"bought"),
    ("ce_time", TIME.encode()),
    ("content-type", b"application/json"),
]
ENVELOPE = {"specversion": "1.0", "id": "e", "source": "/shop", "type": "bought", "time": TIME, "data": DATA}
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def decode(body: Any, headers: Headers = ()) -> Interaction:
    value = json.dumps(body).encode()
    return decode_interaction(value, key=None, headers=headers, timestamp=NOW, limits=Limits())


def refused(body: Any, headers: Headers = ()) -> str:
    with pytest.raises(PoisonEvent) as caught:
        decode(body, headers)
    return caught.value.field


def test_one_event_in_every_envelope() -> None:
    bare = decode(BARE)
    assert bare.event_id == "e"
    assert bare.timestamp == NOW - 10
    assert decode(DATA, BINARY) == bare
    assert decode(ENVELOPE, STRUCTURED) == bare
    assert decode(ENVELOPE) == bare
    assert decode(BARE, [("trace", b"\xff")]) == bare


def test_the_data_wins_over_the_envelope() -> None:
    own = DATA | {"messageId": "mine", "ts": 5}
    for found in (decode(own, BINARY), decode(ENVELOPE | {"data": own})):
        assert (found.event_id, found.timestamp) == ("mine", 5.0)


def test_an_envelope_may_say_little() -> None:
    assert decode(DATA, [("ce_specversion", b"1.0")]) == decode(DATA)
    assert decode({"specversion": "1.0", "data": DATA}) == decode(DATA)


def test_headers_without_a_version_are_no_envelope() -> None:
    assert decode(DATA, [("ce_id", b"e")]) == decode(DATA)


@pytest.mark.parametrize("version", [b"0.3", b"", b"2.0"])
def test_other_versions_are_refused(version: bytes) -> None:
    assert refused(DATA, [("ce_specversion", version)]) == "ce_specversion"
    assert refused(ENVELOPE | {"specversion": version.decode()}) == "specversion"


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_data_must_be_an_object(data: Any) -> None:
    assert refused(ENVELOPE | {"data": data}) == "data"


def test_a_structured_event_must_be_one() -> None:
    assert refused(DATA, STRUCTURED) == "specversion"
    assert refused({"specversion": "1.0", "data_base64": "e30="}, STRUCTURED) == "data"


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_time", "content-type"])
def test_headers_that_are_not_text(name: str) -> None:
    headers = [(have, b"\xff" if have == name else raw) for have, raw in BINARY]
    assert refused(DATA, headers) == name


def test_a_wrong_time_or_id_is_named_as_the_field_it_stands_for() -> None:
    assert refused(ENVELOPE | {"time": "soon"}) == "timestamp"
    assert refused(ENVELOPE | {"id": [1]}) == "event_id"
    assert refused(DATA, [("ce_specversion", b"1.0"), ("ce_time", b"soon")]) == "timestamp"


def test_items_come_in_envelopes_too() -> None:
    body = {"specversion": "1.0", "id": "1", "source": "/", "type": "item", "data": {"item_id": "i", "title": "Chair"}}
    value = json.dumps(body).encode()
    found = decode_item(value, key=None, headers=STRUCTURED, timestamp=NOW, limits=Limits())
    assert found == Item(item_id="i", title="Chair")
