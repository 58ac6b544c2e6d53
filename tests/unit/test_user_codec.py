"""A user's state as bytes: golden files, sizes, and everything that is not one."""

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from stream_engine.errors import StreamEngineError
from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users import (
    MAX_BYTES,
    BadState,
    UserState,
    advance,
    decode_state,
    encode_state,
    entries,
    interest_vectors,
    merge,
    with_attributes,
)
from stream_engine.vectors import unit

GOLDEN = Path(__file__).parent.parent / "golden"
SETTINGS = UserSettings()


def grown(clicks: int, item_id: str, *, topic: str = "clicks", dimensions: int = 384, partition: int = 0) -> UserState:
    """A user whose every click is on another item of another kind; `item_id` is formatted with its number."""
    rng = np.random.default_rng(partition)
    state = None
    for offset in range(clicks):
        interaction = Interaction(
            user_id="u", item_id=item_id.format(offset), event_id=f"{partition}-{offset}", timestamp=1.7e9 + offset
        )
        vector = unit(rng.normal(size=dimensions))
        state = advance(state, Received(interaction, Source(topic, partition, 2**40 + offset)), vector, SETTINGS)
    assert state
    return state


def test_golden_file_of_version_1_decodes_for_ever() -> None:
    state = decode_state((GOLDEN / "user-state-v1.bin").read_bytes())
    assert state.interactions == 5
    assert state.updated_at == 1_700_000_400.25
    assert state.born.hex() == "79c6f3ce90f05fd5"
    assert state.watermarks == (("clicks", 3, 1_000_005),)
    assert state.space == 123_456_789
    assert [entry[:3] for entry in entries(state)] == [
        ("sofa", "purchase", 1_700_000_300),
        ("lamp", "dislike", 1_700_000_200),
        ("käse", "click", 1_700_000_100),
    ]
    assert [entry.positive for entry in entries(state)] == [True, False, True]
    directions, lengths = interest_vectors(state)
    assert np.allclose(directions, [[0.0, 1.0, 0.0, 0.0], [0.6, 0.0, 0.8, 0.0]], atol=0.01)
    assert lengths.tolist() == [3.0, 0.5]
    assert len(state.event_ids) == 12
    assert state.merged == ((b"12345678", 9),)
    assert state.attributes == {"city": "Bern", "tags": ["a", 1]}
    assert np.frombuffer(state.left, "<u4").tolist() == [1, 2**32 - 1]


def test_golden_file_of_a_full_state_decodes_for_ever() -> None:
    stored = (GOLDEN / "user-state-v1-full.bin").read_bytes()
    state = decode_state(stored)
    assert (state.interactions, len(state.items), len(state.interests)) == (120, 50, 3)
    assert interest_vectors(state)[0].shape == (3, 384)
    assert decode_state(encode_state(state)) == state


def test_encoded_state_is_the_same_state() -> None:
    state = grown(80, "item-{}")
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("item_id", ["{}", "item-{:07}", str(UUID(int=0))[:-7] + "{:07}"])
def test_fifty_items_fit_up_to_the_length_of_a_uuid(item_id: str) -> None:
    state = grown(300, item_id)
    assert len(encode_state(state)) <= MAX_BYTES
    assert len(state.items) == 50
    assert len(state.interests) == 3
    assert len(state.left) >= 4 * 64


@pytest.mark.parametrize("item_id", ["x" * 500 + "{:07}", "ß" * 500 + "{:07}", "x" * 70 + "{:07}"])
@pytest.mark.parametrize("dimensions", [16, 384, 768, 1024, 3072])
def test_longer_ids_shorten_the_history_until_it_fits(item_id: str, dimensions: int) -> None:
    state = grown(80, item_id, dimensions=dimensions, topic="t" * 249)
    assert len(encode_state(state)) <= MAX_BYTES
    assert state.interests
    assert len(state.left) >= 4 * 32


def test_everything_at_once_fits() -> None:
    state = with_attributes(grown(80, "x" * 505 + "{:07}", topic="t" * 249, dimensions=3072), {"k": "v" * 240})
    for partition in range(1, 12):
        other = grown(60, "y" * 505 + "{:07}", topic="t" * 249, partition=partition)
        state = merge(state, other, SETTINGS)
        click = Received(Interaction(user_id="u", item_id="z" * 512), Source("t" * 249, partition, 2**60))
        state = advance(state, click, None, SETTINGS)
        assert len(encode_state(state)) <= MAX_BYTES
    assert state.attributes == {"k": "v" * 240}


def test_a_later_field_is_passed_over() -> None:
    """Fields are only ever appended, so that workers of two releases read each other."""
    state = grown(3, "item-{}")
    assert (
        decode_state(b"\x01" + msgspec.msgpack.encode([*msgspec.to_builtins(state, builtin_types=(bytes,)), 1]))
        == state
    )
    assert decode_state(b"\x01" + msgspec.msgpack.encode([7])).interactions == 7


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x00",
        b"\x72\x90",
        b"\x01",
        b"\x01\xc0",
        b"\x01\x90\x90",
        b"{}",
        b"\x01\x91\xa1x",
        b"\x01" + b"\x91" * 5000,
    ],
)
def test_other_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(BadState) as caught:
        decode_state(stored)
    assert isinstance(caught.value, StreamEngineError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "fields",
    [
        {"codes": b""},
        {"codes": b"\x7f" * 3},
        {"times": bytes(8)},
        {"places": bytes(13)},
        {"left": b"abc"},
        {"interactions": -1},
        {"updated_at": float("nan")},
        {"items": ("a",)},
    ],
)
def test_columns_that_do_not_fit_together_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadState):
        decode_state(encode_state(replace(grown(3, "item-{}"), **fields)))


@pytest.mark.parametrize(
    "change",
    [{"direction": bytes(384)}, {"direction": b""}, {"direction": b"a"}, {"length": 0.0}, {"length": float("nan")}],
)
def test_interests_without_direction_or_length_are_refused(change: dict[str, Any]) -> None:
    state = grown(3, "item-{}")
    broken = replace(state.interests[0], **change)
    with pytest.raises(BadState):
        decode_state(encode_state(replace(state, interests=(broken, *state.interests[1:]))))
