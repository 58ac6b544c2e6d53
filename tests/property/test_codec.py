"""For any record: a value or PoisonEvent; what we write we read."""

import json
import math
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from stream_engine.codec import (
    Limits,
    dead_letter_headers,
    decode_dead_letter,
    decode_interaction,
    decode_item,
    decode_recommendation,
    decode_user_control,
    encode_interaction,
    encode_item,
    encode_recommendation,
    encode_user_control,
)
from stream_engine.codec.dialects import EVENT_TYPES, INTERACTION, ITEM, USER, ours
from stream_engine.errors import PoisonEvent
from stream_engine.events import (
    DeadLetter,
    Interaction,
    Item,
    ItemDeleted,
    Models,
    Reason,
    Recommendation,
    RecommendedItem,
    Source,
    Trigger,
    UserControl,
)

LIMITS = Limits(max_future=60.0, max_bytes=5_000)
NAMES = sorted({*ours(INTERACTION), *ours(ITEM), *ours(USER), "specversion", "data", "id", "time", "data_base64"})

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = text.filter(bool)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("1.0")
scalars |= st.sampled_from([*EVENT_TYPES, "2023-11-14T22:13:20Z", "", 10**400, -(2**63), 2**64])
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=20,
)
objects = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), anything, max_size=10)
headers = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "ce_specversion", "ce_id", "ce_time", "CE_ID"]) | text,
        st.binary(max_size=20) | st.sampled_from([b"1.0", b"application/cloudevents+json", b"2023-11-14T22:13:20Z"]),
    ),
    max_size=5,
)
keys = st.none() | st.binary(max_size=20)
valid = encode_interaction(
    Interaction(
        user_id="u",
        event_type="rating",
        item_id="i",
        timestamp=1.7e9,
        value=2.5,
        position=3,
        item=Item(item_id="i", title="t", categories=("a",), price=1.5, vector=(0.5, 1.0)),
        attributes={"a": [1, None, {"b": True}]},
    )
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid record with a few bytes changed, put in, or left out."""
    record = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(record)))
        record[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=2) | st.sampled_from([b'"', b"{", b"null", b"9"])
        )
    return bytes(record)


def check_any_record(value: bytes | None, key: bytes | None, heads: list[tuple[str, bytes]], timestamp: float) -> None:
    record: dict[str, Any] = {"key": key, "headers": heads, "timestamp": timestamp, "limits": LIMITS}
    for decode, kinds in (
        (decode_interaction, (Interaction,)),
        (decode_item, (Item, ItemDeleted)),
        (decode_user_control, (UserControl,)),
    ):
        try:
            found = decode(value, **record)
        except PoisonEvent as error:
            assert error.field  # noqa: PT017 either outcome is right
            assert len(str(error)) < 1_000  # noqa: PT017
        else:
            assert isinstance(found, kinds)
            check_sound(found)


def check_sound(found: msgspec.Struct) -> None:
    """Whatever was decoded can be stored in either encoding and holds only finite numbers."""
    msgspec.msgpack.encode(found)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    if isinstance(found, Interaction):
        assert 0 <= found.timestamp < 32_503_680_001
        assert found.item_id is not None or found.event_type == "search"
        assert found.value is None or math.isfinite(found.value)


@given(st.none() | st.binary(max_size=200), keys, headers, st.floats())
def test_any_bytes(value: bytes | None, key: bytes | None, heads: list[tuple[str, bytes]], timestamp: float) -> None:
    check_any_record(value, key, heads, timestamp)


@given(mutated(), keys, headers)
def test_any_damage(value: bytes, key: bytes | None, heads: list[tuple[str, bytes]]) -> None:
    check_any_record(value, key, heads, 1.7e9)


@given(objects, keys, headers, st.sampled_from([1.7e9, -1.0]))
@example({"user_id": "u", "item_id": "i", "x": 2**64}, None, [], 1.7e9)
@example({"user_id": "u", "item_id": "i", "x": math.inf}, None, [], 1.7e9)
def test_any_json(body: dict[str, Any], key: bytes | None, heads: list[tuple[str, bytes]], timestamp: float) -> None:
    check_any_record(json.dumps(body).encode(), key, heads, timestamp)


@given(ids | st.integers(), ids | st.integers(), objects)
def test_any_fields_beside_the_required(user_id: str | int, item_id: str | int, body: dict[str, Any]) -> None:
    body |= {"user_id": user_id, "item_id": item_id}
    check_any_record(json.dumps(body).encode(), None, [], 1.7e9)


@given(st.binary(max_size=200) | objects.map(lambda body: json.dumps(body).encode()))
def test_any_recommendation(value: bytes) -> None:
    try:
        assert isinstance(decode_recommendation(value), Recommendation)
    except PoisonEvent as error:
        assert error.field  # noqa: PT017


@given(keys, keys, headers)
def test_any_dead_letter(key: bytes | None, value: bytes | None, heads: list[tuple[str, bytes]]) -> None:
    try:
        assert isinstance(decode_dead_letter(key, value, heads), DeadLetter)
    except PoisonEvent as error:
        assert error.field == "headers"  # noqa: PT017


attributes = st.dictionaries(text, st.none() | st.booleans() | finite | text | st.lists(finite, max_size=3), max_size=3)
moments = st.floats(1, 3.2e10)
versions = st.integers(1, 9)
items = st.builds(
    Item,
    item_id=ids,
    title=text,
    description=text,
    categories=st.lists(text, max_size=3).map(tuple),
    price=st.none() | finite,
    available=st.booleans(),
    published_at=st.none() | st.floats(-6e10, 3.2e10),
    expires_at=st.none() | st.floats(-6e10, 3.2e10),
    attributes=attributes,
    vector=st.none() | st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=4).map(tuple),
    version=versions,
)
maybe_ids = st.none() | ids


@st.composite
def interactions(draw: st.DrawFn) -> Interaction:
    search = draw(st.booleans())
    item_id = draw(maybe_ids if search else ids)
    inline = draw(st.none() | items) if item_id else None
    return Interaction(
        user_id=draw(ids),
        event_type="search" if search else draw(st.sampled_from(["click", "purchase", "dwell"])),
        item_id=item_id,
        timestamp=draw(moments),
        event_id=draw(maybe_ids),
        session_id=draw(maybe_ids),
        value=draw(st.none() | finite),
        recommendation_id=draw(maybe_ids),
        position=draw(st.none() | st.integers(0, 2**31 - 1)),
        query=draw(ids if search else st.none() | text),
        item=msgspec.structs.replace(inline, item_id=item_id) if inline else None,
        anonymous=draw(st.booleans()),
        attributes=draw(attributes),
        version=draw(versions),
    )


@given(interactions(), keys, st.sampled_from([-1.0, 3.25e10]))
def test_interactions_survive(interaction: Interaction, key: bytes | None, timestamp: float) -> None:
    value = encode_interaction(interaction)
    assert decode_interaction(value, key=key, headers=(), timestamp=timestamp, limits=LIMITS) == interaction


@given(items, keys)
def test_items_survive(item: Item, key: bytes | None) -> None:
    assert decode_item(encode_item(item), key=key, headers=(), timestamp=0.0, limits=LIMITS) == item


@given(st.builds(UserControl, user_id=ids, erase=st.booleans(), merge_into=maybe_ids, attributes=attributes))
def test_controls_survive(control: UserControl) -> None:
    if control.erase:
        control = UserControl(user_id=control.user_id, erase=True)
    elif control.merge_into == control.user_id:
        return
    value, key = encode_user_control(control), control.user_id.encode()
    assert decode_user_control(value, key=key, headers=(), timestamp=0.0, limits=LIMITS) == control


sources = st.builds(Source, text, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))
reasons = st.builds(Reason, st.sampled_from(["trending", "follows"]), maybe_ids, finite)
places = st.builds(RecommendedItem, ids, st.integers(1, 200), finite, text, st.lists(reasons, max_size=2).map(tuple))


@given(
    st.builds(
        Recommendation,
        recommendation_id=ids,
        user_id=ids,
        generated_at=finite,
        trigger=st.builds(Trigger, maybe_ids, text, st.integers(0, 99), st.integers(0, 2**63 - 1)),
        interactions=st.integers(0, 2**31),
        model=st.builds(Models, text, text),
        items=st.lists(places, max_size=3).map(tuple),
        degraded=st.lists(text, max_size=2).map(tuple),
    )
)
def test_recommendations_survive(recommendation: Recommendation) -> None:
    assert decode_recommendation(encode_recommendation(recommendation)) == recommendation


heads = st.lists(st.tuples(text, st.binary(max_size=9)), max_size=3).map(tuple)


@given(st.builds(DeadLetter, keys, keys, heads, sources, text, text, text))
def test_dead_letters_survive(letter: DeadLetter) -> None:
    assert decode_dead_letter(letter.key, letter.value, dead_letter_headers(letter)) == letter
