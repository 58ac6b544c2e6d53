"""JSON lines to records."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.cli.lines import Kind, header, outgoing
from stream_engine.streaming.sending import Outgoing


@pytest.mark.parametrize(
    ("kind", "line", "key"),
    [
        (Kind.clicks, b'{"user_id": "u", "item_id": "i"}', b"u"),
        (Kind.clicks, b'{"anonymous_id": "a", "item_id": "i"}', b"a"),
        (Kind.clicks, b'{"user_id": "u", "anonymous_id": "a"}', b"u"),
        (Kind.clicks, b'{"visitorId": 7, "item_id": "i"}', b"7"),
        (Kind.clicks, b'{"user_id": "u", "no": "item"}', b"u"),
        (Kind.clicks, b'{"specversion": "1.0", "id": "e", "data": {"user_id": "u"}}', b"u"),
        (Kind.items, b'{"item_id": "i", "title": "t"}', b"i"),
        (Kind.users, '{"user_id": "\u00fc"}'.encode(), "\u00fc".encode()),
    ],
)
def test_the_line_as_it_is_under_its_key(kind: Kind, line: bytes, key: bytes) -> None:
    assert outgoing(kind, line) == (Outgoing(key, line), None)


@pytest.mark.parametrize("line", [b"{broken", b"\xff\xfe", b"[1]", b'{"item_id": "i"}', b'{"user_id": ["u"]}'])
def test_a_click_without_a_key_is_sent_all_the_same(line: bytes) -> None:
    record, warning = outgoing(Kind.clicks, line)
    assert record == Outgoing(None, line)
    assert warning


def test_a_compacted_topic_gets_an_empty_key() -> None:
    assert outgoing(Kind.items, b"{broken")[0] == Outgoing(b"", b"{broken")


@pytest.mark.parametrize(
    ("kind", "line", "key"),
    [
        (Kind.items, b'{"item_id": "i", "deleted": true}', b"i"),
        (Kind.users, b'{"user_id": "u", "erase": true}', b"u"),
    ],
)
def test_null_records(kind: Kind, line: bytes, key: bytes) -> None:
    assert outgoing(kind, line) == (Outgoing(key, None), None)


@pytest.mark.parametrize(
    ("kind", "line"),
    [(Kind.items, b'{"item_id": "i", "deleted": "no"}'), (Kind.clicks, b'{"user_id": "u", "erase": true}')],
)
def test_only_what_says_so_becomes_null(kind: Kind, line: bytes) -> None:
    assert outgoing(kind, line)[0].value == line


def test_headers_travel_and_tell_the_envelope() -> None:
    headers = [header("content-type=application/cloudevents+json")]
    line = json.dumps({"specversion": "1.0", "data": {"user_id": "u"}}).encode()
    assert outgoing(Kind.clicks, line, headers) == (Outgoing(b"u", line, headers), None)
    assert header("a=b=c") == ("a", b"b=c")
    with pytest.raises(ValueError, match="NAME=VALUE"):
        header("nothing")


@given(kind=st.sampled_from(Kind), line=st.binary() | st.text().map(lambda t: json.dumps({"user_id": t}).encode()))
def test_any_line_becomes_a_record(kind: Kind, line: bytes) -> None:
    record, _ = outgoing(kind, line)
    assert record.value == line
    assert record.key is not None or kind is Kind.clicks
