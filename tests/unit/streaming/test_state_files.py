"""A table's partitions on a disk: what comes back, what counts for nothing, what is refused."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from stream_engine.errors import Unavailable
from stream_engine.streaming.owners import Token
from stream_engine.streaming.state_files import StateFiles
from stream_engine.streaming.state_store import Saved

GOLDEN = Path(__file__).parents[2] / "golden" / "states-v1.sqlite"
OWNERS = (Token(0, 1), Token(7, 2))
WHOLE = Saved({b"u": b"\x01one", b"v": b"\x01two"}, 8, OWNERS, anew=True)


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path / "states" / "changelog")


def loaded(files: StateFiles, origin: str = "topic") -> dict[int, Saved]:
    return files.load(origin)


def test_the_golden_file_of_version_1_is_read_for_ever(files: StateFiles, tmp_path: Path) -> None:
    (tmp_path / "states" / "changelog").mkdir(parents=True)
    shutil.copy(GOLDEN, tmp_path / "states" / "changelog" / "3.sqlite")
    assert loaded(files) == {3: WHOLE._replace(anew=False)}


def test_what_changed_is_added_to_what_there_is(files: StateFiles) -> None:
    assert loaded(files) == {}
    files.save(0, WHOLE, "topic")
    files.save(1, Saved({}, 4, (), anew=True), "topic")
    files.save(0, Saved({b"u": None, b"w": b"\x01three"}, 11, OWNERS[1:]), "topic")
    assert loaded(files) == {
        0: Saved({b"v": b"\x01two", b"w": b"\x01three"}, 11, OWNERS[1:]),
        1: Saved({}, 4, ()),
    }


def test_keys_and_values_are_any_bytes(files: StateFiles) -> None:
    values = {bytes([number, 0, 255 - number]): b"\x00\xff'\"" * (number % 3) for number in range(256)}
    files.save(0, Saved(values, 1, (), anew=True), "topic")
    assert loaded(files)[0].values == values
    gone = dict.fromkeys(list(values)[::2])
    files.save(0, Saved(gone, 2, ()), "topic")
    assert loaded(files)[0].values == {key: value for key, value in values.items() if key not in gone}


def test_how_far_it_is_stays_as_it_was_where_nothing_is_said(files: StateFiles) -> None:
    files.save(0, WHOLE._replace(applied=None), "topic")
    assert loaded(files)[0].applied is None
    files.save(0, Saved({b"w": b"\x01"}, 9, OWNERS), "topic")
    files.save(0, Saved({b"w": b"\x01."}, None, OWNERS), "topic")
    assert loaded(files)[0].applied == 9


def test_what_begins_anew_replaces_what_there_is(files: StateFiles) -> None:
    files.save(0, WHOLE, "topic")
    files.save(0, Saved({b"w": b"\x01three"}, 2, (), anew=True), "topic")
    assert loaded(files) == {0: Saved({b"w": b"\x01three"}, 2, ())}


def test_a_part_is_not_added_to_what_is_not_there(files: StateFiles) -> None:
    files.save(0, WHOLE, "another topic")
    for partition in (0, 1):
        with pytest.raises(Unavailable, match="disk"):
            files.save(partition, WHOLE._replace(anew=False), "topic")
    assert loaded(files) == {}


def test_what_is_of_a_topic_that_was_made_anew_counts_for_nothing(files: StateFiles) -> None:
    files.save(0, WHOLE, "topic")
    assert loaded(files, "the same name, another topic") == {}


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to look like one" * 100])
def test_what_is_damaged_counts_for_nothing_and_is_replaced(files: StateFiles, tmp_path: Path, content: bytes) -> None:
    files.save(0, WHOLE, "topic")
    (tmp_path / "states" / "changelog" / "0.sqlite").write_bytes(content)
    assert loaded(files) == {}
    with pytest.raises(Unavailable, match="disk"):
        files.save(0, WHOLE._replace(anew=False), "topic")
    files.save(0, WHOLE, "topic")
    assert loaded(files)[0].values == WHOLE.values


def test_what_a_later_version_saved_counts_for_nothing(files: StateFiles, tmp_path: Path) -> None:
    files.save(0, WHOLE, "topic")
    with sqlite3.connect(tmp_path / "states" / "changelog" / "0.sqlite") as database:
        database.execute("PRAGMA user_version = 2")
    assert loaded(files) == {}


def test_only_what_is_held_is_kept(files: StateFiles) -> None:
    for partition in range(3):
        files.save(partition, WHOLE, "topic")
    files.keep({1, 5})
    assert set(loaded(files)) == {1}


def test_nothing_of_what_is_deleted_stays_in_the_files(files: StateFiles, tmp_path: Path) -> None:
    secret = b"\x01she bought " + b"a" * 9_000
    files.save(0, WHOLE._replace(values={b"u": b"\x01", b"anna": secret}), "topic")
    files.save(0, Saved({b"anna": None}, 9, OWNERS), "topic")
    left = b"".join(path.read_bytes() for path in (tmp_path / "states").rglob("*") if path.is_file())
    assert b"she bought" not in left
    assert b"aaaaaaaa" not in left
    assert b"anna" not in left


def test_the_folder_is_for_us_alone(files: StateFiles, tmp_path: Path) -> None:
    files.save(0, WHOLE, "topic")
    assert (tmp_path / "states" / "changelog").stat().st_mode & 0o777 == 0o700


def test_a_disk_that_refuses_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    files = StateFiles(tmp_path / "file" / "changelog")
    with pytest.raises(Unavailable, match="disk"):
        files.save(0, WHOLE, "topic")
    files.keep(())
    assert loaded(files) == {}
