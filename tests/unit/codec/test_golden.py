"""Whatever was ever a valid record stays one: add files to tests/golden/events, never change one."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream_engine.codec import (
    Limits,
    decode_dead_letter,
    decode_interaction,
    decode_item,
    decode_recommendation,
    decode_user_control,
)
from stream_engine.events import DeadLetter, Interaction, Item, ItemDeleted, Recommendation, UserControl

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "events").glob("*.json"))
FORMATS = {"interaction", "item", "user-control", "recommendation", "dead-letter"}


def decode(form: str, record: dict[str, Any]) -> msgspec.Struct:
    value = None if record.get("value") is None else json.dumps(record["value"]).encode()
    if "value_base64" in record:
        value = base64.b64decode(record["value_base64"])
    key = None if record["key"] is None else record["key"].encode()
    headers = [(name, text.encode()) for name, text in record["headers"]]
    if form == "dead-letter":
        return decode_dead_letter(key, value, headers)
    if form == "recommendation":
        assert value is not None
        return decode_recommendation(value)
    decoder = {"interaction": decode_interaction, "item": decode_item, "user-control": decode_user_control}[form]
    return decoder(value, key=key, headers=headers, timestamp=record["timestamp"], limits=Limits())


def kind(form: str, record: dict[str, Any]) -> type[msgspec.Struct]:
    if form == "item" and record.get("value") is None:
        return ItemDeleted
    return {
        "interaction": Interaction,
        "item": Item,
        "user-control": UserControl,
        "recommendation": Recommendation,
        "dead-letter": DeadLetter,
    }[form]


def test_every_format_is_there() -> None:
    assert {path.stem.split("-v")[0] for path in GOLDEN} == FORMATS


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_decodes_as_ever(path: Path) -> None:
    form = path.stem.split("-v")[0]
    record = json.loads(path.read_text(encoding="utf-8"))
    assert decode(form, record) == msgspec.convert(record["decoded"], kind(form, record))
