from __future__ import annotations

import gzip

import pytest

from stream_engine.errors import BadConfiguration
from stream_engine.evaluate import BadLine, read_log

ITEMS = b'{"item_id": "a", "title": "tea pot", "text": "red", "category": ["kitchen"]}\n{"item_id": 7}\n'
EVENTS = b'{"ts": 20, "user_id": "u", "item_id": "a", "type": "purchase"}\n\n{"ts": 10, "user_id": "u", "item_id": 7}\n'


@pytest.fixture
def files(tmp_path):
    items, events = tmp_path / "items.jsonl", tmp_path / "events.jsonl.gz"
    items.write_bytes(ITEMS)
    events.write_bytes(gzip.compress(EVENTS))
    return items, events


def test_plain_and_gzipped_files_in_other_dialects(files):
    log = read_log(*files)
    assert [item.item_id for item in log.items] == ["a", "7"]
    assert log.items[0].text == "tea pot red kitchen"
    assert [(each.interaction.item_id, each.source.offset) for each in log.received] == [("7", 0), ("a", 1)]
    assert log.received[1].interaction.event_type == "purchase"


def test_the_last_word_on_an_item_counts(files):
    files[0].write_bytes(ITEMS + b'{"item_id": "a", "title": "kettle"}\n')
    assert [item.title for item in read_log(*files).items] == ["kettle", ""]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{oops", "value: not a JSON object"),
        (b'{"user_id": "u", "ts": 1}', "item_id: missing"),
        (b'{"user_id": "u", "item_id": "a", "ts": "soon"}', "timestamp: expected ISO 8601"),
    ],
)
def test_a_bad_line_is_named(files, line, reason):
    files[1].write_bytes(EVENTS + line + b"\n")
    with pytest.raises(BadLine, match=f"events.jsonl.gz:4: {reason}"):
        read_log(*files)


def test_a_bad_item_is_named(files):
    files[0].write_bytes(ITEMS + b'{"title": "no id"}\n')
    with pytest.raises(BadLine, match=r"items\.jsonl:3: item_id: missing"):
        read_log(*files)


def test_a_missing_or_broken_file_is_named(files, tmp_path):
    with pytest.raises(BadConfiguration, match="nowhere"):
        read_log(tmp_path / "nowhere", files[1])
    files[1].write_bytes(gzip.compress(EVENTS)[:-9])
    with pytest.raises(BadConfiguration, match=r"events\.jsonl\.gz"):
        read_log(*files)
