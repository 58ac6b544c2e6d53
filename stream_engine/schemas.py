"""The published contract, generated from the code: a JSON Schema for each format and an AsyncAPI 3 document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from stream_engine.codec.dead_letters import NAMES as DEAD_LETTER_HEADERS
from stream_engine.codec.dialects import EVENT_TYPES, INTERACTION, ITEM, PRODUCT_DETAILS, USER, Names
from stream_engine.events import FORMAT_VERSION, Interaction, Item, Recommendation, UserControl
from stream_engine.settings import TopicSettings

Schema = dict[str, Any]

_DRAFT = "http://json-schema.org/draft-07/schema#"  # what AsyncAPI tools read without a plugin
_TIME: Schema = {
    "anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}, {"type": "null"}],
    "description": "ISO 8601 (UTC unless it says) or epoch seconds or milliseconds.",
}
_ID: Schema = {
    "anyOf": [{"type": "string", "minLength": 1, "maxLength": 512}, {"type": "integer"}],
    "description": "An integer is taken as its decimal text.",
}
_OPTIONAL_ID: Schema = {**_ID, "anyOf": [*_ID["anyOf"], {"type": "null"}]}
_IDS = ("event_id", "user_id", "anonymous_id", "session_id", "item_id", "recommendation_id", "merge_into")
_CE_ATTRIBUTES = ("specversion", "id", "source", "type", "time")
_TIMES = ("timestamp", "published_at", "expires_at")


def json_schemas() -> dict[str, Schema]:
    """A draft-07 schema with a versioned `$id` for each format, by file stem, such as `interaction-v1`."""
    _, parts = msgspec.json.schema_components(
        (Interaction, Item, UserControl, Recommendation), ref_template="#/definitions/{name}"
    )
    interaction, item, control, recommendation = (
        parts.pop(kind.__name__) for kind in (Interaction, Item, UserControl, Recommendation)
    )
    schemas = {
        "interaction": _interaction(interaction, item),
        "item": _accepting(item, ITEM) | {"anyOf": _any_of(ITEM, "item_id")},
        "user-control": _accepting(control, USER) | {"anyOf": _any_of(USER, "user_id")},
        "recommendation": recommendation | {"definitions": parts},
        "dead-letter-headers": _dead_letter_headers(),
    }
    return {
        f"{name}-v{FORMAT_VERSION}": {
            "$schema": _DRAFT,
            "$id": f"urn:stream-engine:{name}:v{FORMAT_VERSION}",
            **_plain(schema),
        }
        for name, schema in schemas.items()
    }


def write(directory: Path, topics: TopicSettings | None = None) -> list[Path]:
    """Write `schemas/*.json` and `asyncapi.json` under `directory`; returns what was written."""
    documents = {f"schemas/{name}.json": schema for name, schema in json_schemas().items()}
    documents["asyncapi.json"] = asyncapi(topics or TopicSettings())
    written = []
    for name, document in documents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written


def _accepting(schema: Schema, names: Names, base: str = "#") -> Schema:
    """`schema` with what the decoder takes besides: other spellings, integer ids, ISO times, one category as text."""
    properties = dict(schema["properties"])
    required = schema.get("required", [])
    for field in names:
        if field in _IDS:
            properties[field] = _ID if field in required else _OPTIONAL_ID
        elif field in _TIMES:
            properties[field] = _TIME
    if "categories" in properties:
        categories = properties["categories"]
        properties["categories"] = {"anyOf": [categories, {"type": "string"}], "default": []}
    for field, others in names.items():
        properties |= {other: {"$ref": f"{base}/properties/{field}"} for other in others if other != PRODUCT_DETAILS}
    return {key: value for key, value in schema.items() if key != "required"} | {"properties": properties}


def _interaction(interaction: Schema, item: Schema) -> Schema:
    schema = _accepting(interaction, INTERACTION)
    schema["properties"] |= {
        "user_id": _OPTIONAL_ID,  # null where there is an anonymous one
        "event_type": {"enum": sorted(EVENT_TYPES), "default": "click"},
    }
    is_search = [
        {"properties": {name: {"const": "search"}}, "required": [name]}
        for name in ("event_type", *INTERACTION["event_type"])
    ]
    return schema | {
        "allOf": [
            {"anyOf": _any_of(INTERACTION, "user_id", "anonymous_id")},
            {
                "if": {"anyOf": is_search},
                "then": {"anyOf": _any_of(INTERACTION, "query")},
                "else": {"anyOf": _any_of(INTERACTION, "item_id", "item")},
            },
        ],
        "definitions": {"Item": _accepting(item, ITEM, "#/definitions/Item")},
    }


def _any_of(names: Names, *fields: str) -> list[Schema]:
    """At least one of the fields is there, in some spelling."""
    return [{"required": [name]} for field in fields for name in (field, *names[field])]


def _dead_letter_headers() -> Schema:
    return {
        "title": "DeadLetterHeaders",
        "description": "Added after the record's own headers; key, value and own headers are as received.",
        "type": "object",
        "properties": {name: {"type": "string"} for name in DEAD_LETTER_HEADERS},
        "required": list(DEAD_LETTER_HEADERS),
    }


def _plain(schema: Schema) -> Schema:
    """As JSON has it: lists for tuples."""
    plain: Schema = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def asyncapi(topics: TopicSettings) -> Schema:
    """The AsyncAPI 3.0 document: the topics, the messages on them, and which of them the engine reads and writes."""
    channels = {
        "clicks": _channel(topics.clicks, "What users did.", "interaction", "interactionCloudEvent"),
        "items": _channel(topics.items, "The catalogue; a null value deletes the item.", "item"),
        "users": _channel(topics.users, "What to do with a user; a null value erases them.", "userControl"),
        "recommendations": _channel(topics.recommendations, "Each user's latest list.", "recommendation"),
        "deadLetters": _channel(topics.dead_letters, "What could not be processed, and why.", "deadLetter"),
    }
    actions = {"clicks": "receive", "items": "receive", "users": "receive"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "stream-engine",
            "version": f"{FORMAT_VERSION}.0.0",
            "description": "Clicks in on one topic; fresh recommendations out on another.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": dict(_operation(name, actions.get(name, "send"), channel) for name, channel in channels.items()),
        "components": {"messages": _messages()},
    }


def _channel(topic: str, description: str, *messages: str) -> Schema:
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": topic, "description": description, "messages": references}


def _operation(name: str, action: str, channel: Schema) -> tuple[str, Schema]:
    messages = [{"$ref": f"#/channels/{name}/messages/{message}"} for message in channel["messages"]]
    operation = {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "messages": messages}
    return f"{action}{name[0].upper()}{name[1:]}", operation


def _messages() -> Schema:
    cloud_event = {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "The event_id, if the data has none."},
            "source": {"type": "string"},
            "type": {"type": "string"},
            "time": {"type": "string", "format": "date-time", "description": "The timestamp, if the data has none."},
            "data": _file("interaction"),
        },
        "required": ["specversion", "id", "source", "type", "data"],
    }
    binary_mode = {"type": "object", "properties": {f"ce_{name}": {"type": "string"} for name in _CE_ATTRIBUTES}}
    as_received = {"description": "The bytes as received, whatever they are."}
    return {
        "interaction": _message("user id", _file("interaction"), headers=binary_mode),
        "interactionCloudEvent": _message("user id", cloud_event, contentType="application/cloudevents+json"),
        "item": _message("item id", _file("item")),
        "userControl": _message("user id", _file("user-control")),
        "recommendation": _message("user id", _file("recommendation")),
        "deadLetter": _message("as received", as_received, headers=_file("dead-letter-headers")),
    }


def _message(key: str, payload: Schema, **more: Any) -> Schema:
    binding = {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}
    return {"payload": payload, "bindings": {"kafka": binding}, **more}


def _file(name: str) -> Schema:
    return {"$ref": f"./schemas/{name}-v{FORMAT_VERSION}.json"}
