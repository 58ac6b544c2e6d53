"""Bad input as data: a corpus of records, each with what becomes of it, and good records made bad by chance."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stream_engine.users import UserState, encode_state

Headers = tuple[tuple[str, bytes | None], ...]
ANSWERED = None
BINARY: Headers = (("ce_specversion", b"1.0"), ("ce_id", b"e"), ("ce_source", b"/shop"), ("ce_type", b"click"))
STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)


@dataclass(frozen=True)
class Bad:
    """A record, and the field its dead letter names; None: it is accepted after all."""

    name: str
    field: str | None
    value: bytes | None
    key: bytes | None = b"u"
    headers: Headers = ()


def said(text: str) -> bytes:
    """A click of u on i0 that says this as well, the last word on each field being what counts."""
    return f'{{"user_id":"u","item_id":"i0",{text}}}'.encode()


def enveloped(**fields: object) -> bytes:
    """A click in a structured CloudEvent, with these fields of the envelope."""
    data = {"user_id": "u", "item_id": "i0"}
    return json.dumps({"specversion": "1.0", "id": "e", "source": "/", "type": "click", "data": data} | fields).encode()


DEEP = b'{"user_id":"u","item_id":"i0","x":' + b"[" * 100_000
NESTED = b'{"user_id":"u","item_id":"i0","x":' + b"[" * 500 + b"]" * 500 + b"}"
GOOD = b'{"user_id":"u","item_id":"i0"}'

BYTES = (
    Bad("nothing", "value", b""),
    Bad("a tombstone", "value", None),
    Bad("a tombstone without a key", "value", None, None),
    Bad("white space", "value", b" \n\t"),
    Bad("a byte order mark", "value", b"\xef\xbb\xbf" + GOOD),
    Bad("UTF-16", "value", GOOD.decode().encode("utf-16")),
    Bad("compressed", "value", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
    Bad("Confluent's magic byte", "value", b"\x00\x00\x00\x00\x07" + GOOD),
    Bad("truncated", "value", GOOD[:-1]),
    Bad("two objects", "value", GOOD + GOOD),
    Bad("a list", "value", b"[" + GOOD + b"]"),
    Bad("a text", "value", b'"click"'),
    Bad("a number", "value", b"7"),
    Bad("null", "value", b"null"),
    Bad("not UTF-8", "value", b'{"user_id":"\xff\xfe","item_id":"i0"}'),
    Bad("half a character", "value", b'{"user_id":"u","item_id":"\xe2\x82"}'),
    Bad("a lone surrogate", "value", said(r'"item_id":"\ud800"')),
    Bad("a lone low surrogate", "value", said(r'"item_id":"\udc00x"')),
    Bad("a surrogate in UTF-8", "value", b'{"user_id":"u","item_id":"\xed\xa0\x80"}'),
    Bad("deep and open", "value", DEEP),
    Bad("deep", "attributes", NESTED),
    Bad("too large", "value", said(f'"x":"{"x" * 1_000_000}"')),
    Bad("NaN", "value", said('"value":NaN')),
    Bad("Infinity", "value", said('"value":Infinity')),
    Bad("minus Infinity", "value", said('"timestamp":-Infinity')),
    Bad("1e400", "value", said('"value":1e400')),
    Bad("an integer of 5,000 digits", "value", said('"value":' + "9" * 5_000)),
    Bad("the same field twice", ANSWERED, b'{"user_id":"x","user_id":"u","item_id":"i0"}'),
    Bad("no fields", "item_id", b"{}"),
    Bad("nine hundred fields", ANSWERED, said(",".join(f'"x{at}":0' for at in range(900)))),
)
IDS = (
    Bad("no user, no key", "user_id", b'{"item_id":"i0"}', None),
    Bad("no user, an empty key", "user_id", b'{"item_id":"i0"}', b""),
    Bad("no user, a key not in UTF-8", "user_id", b'{"item_id":"i0"}', b"\xff\xfe"),
    Bad("the user is the key", ANSWERED, b'{"item_id":"i0"}'),
    Bad("a user but no key", ANSWERED, GOOD, None),
    Bad("a key not in UTF-8", ANSWERED, GOOD, b"\xff\xfe"),
    Bad("another key", ANSWERED, GOOD, b"somebody else"),
    Bad("a user that is an object", "user_id", b'{"user_id":{"id":1},"item_id":"i0"}'),
    Bad("a user that is a list", "user_id", b'{"user_id":["u"],"item_id":"i0"}'),
    Bad("a user that is true", "user_id", b'{"user_id":true,"item_id":"i0"}'),
    Bad("a user that is 1.5", "user_id", b'{"user_id":1.5,"item_id":"i0"}'),
    Bad("a user of 513 characters", "user_id", json.dumps({"user_id": "u" * 513, "item_id": "i0"}).encode()),
    Bad(
        "a user of 512 characters of four bytes",
        ANSWERED,
        json.dumps({"user_id": "😀" * 512, "item_id": "i0"}).encode(),
    ),
    Bad("a user of control characters", ANSWERED, rb'{"user_id":"\u0000\n\u001b[31m\u202e","item_id":"i0"}'),
    Bad("a user that is a number", ANSWERED, b'{"user_id":17,"item_id":"i0"}'),
    Bad("a user of 401 digits", ANSWERED, b'{"user_id":' + b"1" * 401 + b',"item_id":"i0"}'),
    Bad("a user of 600 digits", "user_id", b'{"user_id":' + b"1" * 600 + b',"item_id":"i0"}'),
    Bad("an item nobody heard of", ANSWERED, said('"item_id":"never seen"')),
    Bad("an item of control characters", ANSWERED, said(r'"item_id":"\u0000\r\u0007"')),
    Bad("an item of 513 characters", "item_id", said(f'"item_id":"{"x" * 513}"')),
    Bad("an empty item", "item_id", said('"item_id":""')),
    Bad("an item that is null", "item_id", said('"item_id":null')),
    Bad("no product", "item_id", b'{"user_id":"u","productDetails":[]}'),
    Bad("two products", "item_id", b'{"user_id":"u","productDetails":[{"product":{"id":"a"}},{"product":{"id":"b"}}]}'),
    Bad("a long event id", "event_id", said(f'"event_id":"{"x" * 600}"')),
    Bad("an anonymous list", "anonymous_id", b'{"anonymous_id":[],"item_id":"i0"}'),
)
FIELDS = (
    Bad("an unknown type", "event_type", said('"event_type":"explode"')),
    Bad("a type that is a number", "event_type", said('"event_type":7')),
    Bad("a search without a query", "query", said('"event_type":"search"')),
    Bad("a query that is a list", "query", said('"event_type":"search","query":["x"]')),
    Bad("a text for a value", "value", said('"value":"dear"')),
    Bad("a negative position", "position", said('"position":-1')),
    Bad("a huge position", "position", said('"position":1e300')),
    Bad("version 0", "version", said('"version":0')),
    Bad("a later version", ANSWERED, said('"version":99,"sent_by":"tomorrow"')),
    Bad("attributes that are a list", "attributes", said('"attributes":[1]')),
    Bad("an integer of 400 digits", "attributes", said('"x":' + "9" * 400)),
    Bad("an anonymous word", "anonymous", said('"anonymous":"yes"')),
    Bad("a time before 1970", "timestamp", said('"timestamp":-1')),
    Bad("the year 3000", "timestamp", said('"timestamp":"3000-01-01T00:00:00Z"')),
    Bad("the year 3000 in milliseconds", "timestamp", said('"timestamp":32503680000000')),
    Bad("the year 0", "timestamp", said('"timestamp":"0000-01-01"')),
    Bad("1e308 seconds", "timestamp", said('"timestamp":1e308')),
    Bad("the 30th of February", "timestamp", said('"timestamp":"2024-02-30"')),
    Bad("a time that is a list", "timestamp", said('"timestamp":[2024]')),
    Bad("a time that is true", "timestamp", said('"timestamp":true')),
    Bad("time 0, the record's", ANSWERED, said('"timestamp":0')),
    Bad("an inline text", "item", said('"item":"boots"')),
    Bad("another inline item", "item.item_id", said('"item":{"item_id":"other"}')),
    Bad("an inline price that is a text", "item.price", said('"item":{"price":"9.99"}')),
    Bad("an inline vector beyond float32", "item.vector", said('"item":{"vector":[1e39]}')),
    Bad("an empty inline item", ANSWERED, said('"item_id":"stub","item":{}')),
)
ENVELOPES = (
    Bad("another version in binary mode", "ce_specversion", GOOD, b"u", (("ce_specversion", b"0.3"),)),
    Bad("a version without a value", "ce_specversion", GOOD, b"u", (("ce_specversion", None),)),
    Bad("a version not in UTF-8", "ce_specversion", GOOD, b"u", (("ce_specversion", b"\xff"),)),
    Bad("a time nobody can read", "timestamp", GOOD, b"u", (*BINARY, ("ce_time", b"yesterday"))),
    Bad("a content type not in UTF-8", "content-type", GOOD, b"u", (("content-type", b"\xff"),)),
    Bad("binary mode without an object", "value", b"[]", b"u", BINARY),
    Bad("structured mode without an envelope", "specversion", GOOD, b"u", STRUCTURED),
    Bad("no data", "data", enveloped(data=None), b"u", STRUCTURED),
    Bad("data that is a text", "data", enveloped(data="x"), b"u", STRUCTURED),
    Bad("another version", "specversion", enveloped(specversion="2.0"), b"u", STRUCTURED),
    Bad("a version that is a number", "specversion", enveloped(specversion=1.0), b"u"),
    Bad("an id that is an object", "event_id", enveloped(id={}), b"u"),
    Bad("a time that is a list in the envelope", "timestamp", enveloped(time=[]), b"u"),
    Bad("a thousand headers", ANSWERED, GOOD, b"u", tuple((f"h{at}", b"x") for at in range(1_000))),
    Bad("the same header twice", ANSWERED, GOOD, b"u", (("trace", b"1"), ("trace", b"2"))),
    Bad("headers without values", ANSWERED, GOOD, b"u", (("trace", None), ("", b""), ("content-type", None))),
    Bad("headers without values on nonsense", "value", b"{", b"u", (("trace", None), ("", b""), ("x", b"\xff\x00"))),
)
CLICKS = (*BYTES, *IDS, *FIELDS, *ENVELOPES)

ITEMS = (
    Bad("nothing", "value", b""),
    Bad("a tombstone without a key", "key", None, None),
    Bad("a tombstone of a key not in UTF-8", "key", None, b"\xff"),
    Bad("a tombstone of nobody", ANSWERED, None, b"never seen"),
    Bad("no id, no key", "item_id", b"{}", None),
    Bad("an id that is a list", "item_id", b'{"item_id":[1]}'),
    Bad("a title that is a number", "title", b'{"title":7}'),
    Bad("categories that are numbers", "categories", b'{"categories":[1]}'),
    Bad("a price that is a text", "price", b'{"price":"9.99"}'),
    Bad("available maybe", "available", b'{"available":"maybe"}'),
    Bad("published in the year 3000", "published_at", b'{"published_at":"3000-01-01"}'),
    Bad("published before the year 1", "published_at", b'{"published_at":-1e300}'),
    Bad("expires never", ANSWERED, b'{"title":"x","expires_at":"9999-12-31"}', b"forever"),
    Bad("expires some day", "expires_at", b'{"expires_at":"some day"}'),
    Bad("a vector of nothing", "vector", b'{"vector":[]}'),
    Bad("a vector of texts", "vector", b'{"vector":["x"]}'),
    Bad("a lone surrogate", "value", rb'{"title":"\ud800"}'),
    Bad("a title of control characters", ANSWERED, rb'{"title":"\u0000\n\u001b[2J"}', b"control"),
    Bad("a title of 5,000 words", ANSWERED, json.dumps({"title": "tea " * 2_000}).encode(), b"long"),
    Bad(
        "a thousand categories", ANSWERED, json.dumps({"categories": [f"c{at}" for at in range(999)]}).encode(), b"wide"
    ),
    Bad("no text", ANSWERED, b"{}", b"mute"),
)
USERS = (
    Bad("nothing", "value", b""),
    Bad("a tombstone without a key", "key", None, None),
    Bad("a tombstone of a key not in UTF-8", "key", None, b"\xff"),
    Bad("a tombstone of nobody", ANSWERED, None, b"never seen"),
    Bad("no id, no key", "user_id", b"{}", None),
    Bad("an id that is an object", "user_id", b'{"user_id":{}}'),
    Bad("merged into themselves", "merge_into", b'{"merge_into":"u"}'),
    Bad("merged into a list", "merge_into", b'{"merge_into":[]}'),
    Bad("attributes that are a text", "attributes", b'{"attributes":"x"}'),
    Bad("too many attributes", "attributes", json.dumps({"attributes": {"x": "x" * 300}}).encode()),
    Bad("a list", "value", b"[]"),
    Bad("nothing to do", ANSWERED, b"{}"),
)

STATE = encode_state(UserState())
INTERACTIONS = (
    Bad("a tombstone", "updates", None, None),
    Bad("nothing", "updates", b"", None),
    Bad("JSON", "updates", b'{"item_id":"i0"}', None),
    Bad("only a version", "updates", b"\x01", None),
    Bad("truncated", "updates", b"\x01\x91\x98\xa2i0\x00", None),
    Bad("not UTF-8", "updates", b"\x01\x91\x94\xa1\xff\x00\x00\x00", None),
    Bad("an empty id", "updates", b"\x01\x91\x94\xa0\x00\x00\x00", None),
    Bad("NaN for a time", "updates", b"\x01\x91\x94\xa2i0\x00\x00\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", None),
    Bad("infinity for a time", "updates", b"\x01\x91\x94\xa2i0\x00\x00\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", None),
    Bad("a negative offset", "updates", b"\x01\x91\x94\xa2i0\x00\xff\x00", None),
    Bad("no updates", ANSWERED, b"\x01\x90", None),
)
JOINS = (
    Bad("no key", "key", STATE, None),
    Bad("a key not in UTF-8", "key", STATE, b"\xff"),
    Bad("a key of 513 characters", "key", STATE, b"u" * 513),
    Bad("a tombstone", "value", None),
    Bad("JSON", "value", b"{}"),
    Bad("truncated", "value", STATE[:-3]),
    Bad(
        "columns that do not fit",
        "value",
        STATE[:1] + b"\x98\x01\xcb" + bytes(8) + b"\xc4\x00\x90\x90\x00\x91\xa1i\xc4\x00",
    ),
    Bad("a history of nothing", ANSWERED, STATE),
)

HOSTILE = (
    "null", "true", "-1", "1e308", "-0.0", "9" * 30, '""', '"\\u0000"', '"\\ud800"', "[]", "{}", "[[]]", "NaN",
    '"' + "x" * 600 + '"', '{"a":{"a":{"a":1}}}', '"2999-01-01"', "1e400", '"click"', '"\u202e"',
)  # fmt: skip


def mutated(chance: random.Random, good: bytes) -> bytes:
    """A good record with one thing wrong, or a few: bytes, or a value that is replaced by a hostile one."""
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        good = _mutations[chance.randrange(len(_mutations))](chance, good)
    return good


def fuzzed(seed: int, count: int, goods: Sequence[bytes]) -> Iterator[bytes]:
    """So many good records gone bad, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        yield mutated(chance, chance.choice(goods))


def _flip(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(chance: random.Random, data: bytes) -> bytes:
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] + data[end:]


def _repeat(chance: random.Random, data: bytes) -> bytes:
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[begin:end] + data[end:]


def _hostile(chance: random.Random, data: bytes) -> bytes:
    """One value of a JSON object replaced; bytes that are none stay as they are."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(body, dict) or not body:
        return data
    hostile = chance.choice(sorted(body))
    said = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in body.items() if name != hostile]
    return f"{{{','.join([*said, json.dumps(hostile) + ':' + chance.choice(HOSTILE)])}}}".encode()


_mutations = (_flip, _cut, _repeat, _hostile, _hostile)
