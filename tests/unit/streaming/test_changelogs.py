"""Which record of a changelog counts: the last one, unless it goes back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from harness import records

from stream_engine.errors import PoisonEvent
from stream_engine.events import Interaction, Received, Source
from stream_engine.items.statistics import encode_statistics, packed
from stream_engine.items.statistics import marks as marks_of_item
from stream_engine.settings import UserSettings
from stream_engine.streaming.changelogs import goes_back
from stream_engine.users import (
    BadState,
    UserState,
    advance,
    decode_state,
    encode_state,
    marks,
    merge,
    with_attributes,
)

SETTINGS = UserSettings()


def clicked(state: UserState | None, offset: int, topic: str = "clicks") -> UserState:
    click = Interaction(user_id="u", item_id=f"i{offset}", timestamp=1e9)
    return advance(state, Received(click, Source(topic, 3, offset)), None, SETTINGS)


ONCE = clicked(None, 5)
TWICE = clicked(ONCE, 9)


def test_an_older_state_goes_back_and_a_newer_does_not() -> None:
    once, twice = encode_state(ONCE), encode_state(TWICE)
    assert goes_back(once, twice, marks)
    assert not goes_back(twice, once, marks)
    assert not goes_back(twice, twice, marks)


def test_what_was_deleted_or_is_new_counts_as_ever() -> None:
    assert not goes_back(None, encode_state(TWICE), marks)
    assert not goes_back(encode_state(ONCE), None, marks)


def test_a_state_that_changed_in_place_counts() -> None:
    assert not goes_back(encode_state(with_attributes(TWICE, {"plan": "pro"})), encode_state(TWICE), marks)


def test_a_state_without_somebody_who_joined_goes_back() -> None:
    joined = merge(TWICE, clicked(None, 1, "before"), SETTINGS)
    assert goes_back(encode_state(TWICE), encode_state(joined), marks)
    assert not goes_back(encode_state(joined), encode_state(TWICE), marks)


def test_where_neither_is_older_the_last_counts() -> None:
    left, right = encode_state(clicked(TWICE, 2, "a")), encode_state(clicked(TWICE, 2, "b"))
    assert not goes_back(left, right, marks)
    assert not goes_back(right, left, marks)


def test_marks_are_the_places_a_state_holds() -> None:
    joined = merge(TWICE, clicked(None, 1, "before"), SETTINGS)
    assert marks(encode_state(joined)) == {("clicks", 3): 10} | dict(joined.merged)
    assert marks(encode_state(UserState())) == {}


def test_a_state_of_fewer_fields_has_marks() -> None:
    fields = msgspec.msgpack.decode(encode_state(ONCE)[1:])
    shorter = b"\x01" + msgspec.msgpack.encode(fields[:6])
    assert decode_state(shorter).watermarks == ONCE.watermarks
    assert marks(shorter) == {("clicks", 3): 6}


@pytest.mark.parametrize("stored", [b"", b"\x77", b"\x01\xc1", b"\x01\x94\x00\x00\x00\x00"])
def test_what_is_no_state_has_no_marks(stored: bytes) -> None:
    with pytest.raises(BadState):
        marks(stored)
    assert not goes_back(stored, encode_state(ONCE), marks)


def statistics(places: Mapping[int, int]) -> bytes:
    weights = {"together": packed([1.0]), "lately": packed([1.0]), "after": packed([0.0])}
    return encode_statistics(records.statistics(1.0, neighbours=("a",), **weights, watermarks=places))


def test_statistics_go_back_by_partition() -> None:
    assert marks_of_item(statistics({0: 4, 2: 7})) == {0: 4, 2: 7}
    assert goes_back(statistics({0: 4}), statistics({0: 4, 2: 0}), marks_of_item)
    assert goes_back(statistics({0: 3, 2: 7}), statistics({0: 4, 2: 7}), marks_of_item)
    assert not goes_back(statistics({0: 3, 2: 8}), statistics({0: 4, 2: 7}), marks_of_item)


@pytest.mark.parametrize("stored", [b"", b"\x77", b"\x01\xc1"])
def test_what_is_no_statistics_has_no_marks(stored: bytes) -> None:
    with pytest.raises(PoisonEvent):
        marks_of_item(stored)
