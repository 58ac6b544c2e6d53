from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.errors import NewerVersion, PoisonEvent
from stream_engine.events import Item
from stream_engine.items.record import CatalogueRecord, decode_record, encode_record, record_of

GOLDEN = Path(__file__).parents[2] / "golden" / "items" / "record-v1.bin"
EXAMPLE = CatalogueRecord(
    item_id="i1",
    title="Red tea pot",
    categories=("home", "kitchen"),
    price=12.5,
    available=False,
    published_at=10.0,
    expires_at=20.0,
    first_seen=5.0,
    vector=np.array([0.6, 0.0, -0.8], np.float32),
    fingerprint="model-1",
)


def same(one: CatalogueRecord, other: CatalogueRecord) -> bool:
    plain = [name for name in CatalogueRecord.__slots__ if name != "vector"]
    if any(getattr(one, name) != getattr(other, name) for name in plain):
        return False
    if one.vector is None or other.vector is None:
        return one.vector is other.vector
    return bool(np.allclose(one.vector, other.vector, atol=1e-3))


@pytest.mark.parametrize("record", [EXAMPLE, CatalogueRecord("bare")])
def test_bytes_round_trip(record: CatalogueRecord) -> None:
    assert same(decode_record(encode_record(record)), record)


def test_golden_bytes_still_decode() -> None:
    assert same(decode_record(GOLDEN.read_bytes()), EXAMPLE)


def test_a_decoded_vector_has_length_one() -> None:
    vector = decode_record(encode_record(EXAMPLE)).vector
    assert vector is not None
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_a_record_takes_the_encoders_vector_not_the_items() -> None:
    record = record_of(Item(item_id="x", vector=(1.0, 0.0)), first_seen=1.0, vector=None, fingerprint="m")
    assert record.vector is None
    assert (record.item_id, record.available, record.first_seen) == ("x", True, 1.0)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_poison(data: bytes) -> None:
    for each in (data, b"\x01" + data):
        try:
            decode_record(each)
        except (NewerVersion, PoisonEvent):
            continue
