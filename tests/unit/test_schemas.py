import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator

from stream_engine.codec import dead_letter_headers, encode_interaction, encode_item, encode_user_control
from stream_engine.events import DeadLetter, Interaction, Item, Source, UserControl
from stream_engine.schemas import asyncapi, json_schemas, write
from stream_engine.settings import TopicSettings

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden" / "events").glob("*.json"))
SCHEMAS = json_schemas()


def errors(schema: str, instance: Any) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMAS[schema]).iter_errors(instance)]


def test_the_committed_files_are_what_the_code_says(tmp_path: Path) -> None:
    """Run `stream-engine schemas` when this fails."""
    fresh = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in write(tmp_path)}
    deploy = ROOT / "deploy"
    committed = [deploy / "asyncapi.json", *(deploy / "schemas").glob("*.json")]
    assert {path.relative_to(deploy): path.read_text(encoding="utf-8") for path in committed} == fresh


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one_and_names_its_version(name: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[name])
    form, version = name.rsplit("-", 1)
    assert SCHEMAS[name]["$id"] == f"urn:stream-engine:{form}:{version}"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_golden_record_is_valid(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    form = path.stem.split("-v")[0]
    if form == "dead-letter":
        assert errors("dead-letter-headers-v1", dict(record["headers"])) == []
    elif record["value"] is not None:
        value = record["value"]
        assert errors(f"{form}-v1", value.get("data", value)) == []


def test_what_we_write_is_valid() -> None:
    item = Item(item_id="i", title="t", vector=(1.0,), published_at=1.0)
    written = {
        "interaction-v1": encode_interaction(Interaction(user_id="u", item_id="i", timestamp=1.5, item=item)),
        "item-v1": encode_item(item),
        "user-control-v1": encode_user_control(UserControl(user_id="a", merge_into="u")),
    }
    for name, value in written.items():
        assert errors(name, json.loads(value or b"null")) == []
    letter = DeadLetter(None, None, (), Source("t", 0, 0), "s", "e", "m")
    assert errors("dead-letter-headers-v1", {name: raw.decode() for name, raw in dead_letter_headers(letter)}) == []


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ("interaction-v1", {"item_id": "i"}),
        ("interaction-v1", {"user_id": "u"}),
        ("interaction-v1", {"user_id": "u", "event_type": "search", "item_id": "i"}),
        ("interaction-v1", {"user_id": "u", "type": "search"}),
        ("interaction-v1", {"user_id": "u", "item_id": "i", "event_type": "poke"}),
        ("interaction-v1", {"userId": 1.5, "item_id": "i"}),
        ("interaction-v1", {"user_id": "u", "item_id": "i", "ts": True}),
        ("interaction-v1", {"user_id": "u", "item": {"price": "9"}}),
        ("interaction-v1", {"user_id": "u", "item": {"itemId": []}}),
        ("item-v1", {"title": "t"}),
        ("item-v1", {"item_id": "i", "vector": []}),
        ("user-control-v1", {"merge_into": "u"}),
        ("recommendation-v1", {}),
        ("dead-letter-headers-v1", {}),
    ],
)
def test_what_the_decoder_refuses_is_not_valid(schema: str, wrong: dict[str, Any]) -> None:
    assert errors(schema, wrong)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (target for name, target in node.items() if name == "$ref" and isinstance(target, str))
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from references(part)


def resolve(document: Any, pointer: str) -> Any:
    for step in pointer.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi(TopicSettings())
    for target in references(document):
        if target.startswith("#"):
            assert resolve(document, target)
        else:
            assert Path(target).stem in SCHEMAS
    for schema in SCHEMAS.values():
        assert all(resolve(schema, target) for target in references(schema))


def test_the_document_says_which_topics_and_which_way() -> None:
    topics = TopicSettings(clicks="shop.clicks")
    document = asyncapi(topics)
    assert document["asyncapi"] == "3.0.0"
    ways = {
        resolve(document, operation["channel"]["$ref"])["address"]: operation["action"]
        for operation in document["operations"].values()
    }
    assert ways == {
        "shop.clicks": "receive",
        "items": "receive",
        "users": "receive",
        "recommendations": "send",
        "dead-letters": "send",
    }
    for operation in document["operations"].values():
        offered = resolve(document, operation["channel"]["$ref"])["messages"]
        assert {message["$ref"].rsplit("/", 1)[1] for message in operation["messages"]} == set(offered)


def test_schemas_are_json() -> None:
    assert json.loads(msgspec.json.encode(SCHEMAS)) == SCHEMAS
