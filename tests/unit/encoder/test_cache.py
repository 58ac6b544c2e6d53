"""The cache remembers across restarts, stays within its bound, and never fails its caller."""

import os
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from stream_engine.encoder.cache import VectorCache

D = 8


def rows_of(texts):
    return np.stack([np.full(D, len(text) + ord(text[-1]) / 128, np.float32) for text in texts])


def open_cache(path, limit=100, fingerprint="model"):
    return VectorCache(path, fingerprint, D, limit=limit)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "cache.sqlite"


def test_what_was_put_is_there_after_a_restart(path):
    texts = ["a", "bb", "", "\ud800"]
    rows = np.random.default_rng(1).normal(size=(4, D)).astype(np.float16).astype(np.float32)
    first = open_cache(path)
    first.put(texts, rows)
    first.close()
    second = open_cache(path)
    found = second.get([*texts, "never seen"])
    assert set(found) == set(texts)
    np.testing.assert_array_equal(np.stack([found[text] for text in texts]), rows)
    second.close()


def test_more_texts_than_a_statement_takes(path):
    cache = open_cache(path, limit=5000)
    texts = [f"text {number}" for number in range(1234)]
    cache.put(texts, rows_of(texts))
    assert len(cache.get(texts)) == 1234
    cache.close()


def test_another_model_does_not_see_it(path):
    one, other = open_cache(path), open_cache(path, fingerprint="other")
    one.put(["a"], rows_of(["a"]))
    assert other.get(["a"]) == {}
    assert list(one.get(["a"])) == ["a"]
    one.close()
    other.close()


def test_the_least_recently_used_goes_first(path):
    cache = open_cache(path, limit=10)
    texts = [f"t{number}" for number in range(10)]
    for text in texts:
        cache.put([text], rows_of([text]))
    cache.get(["t0", "t1"])
    cache.put(["n1", "n2"], rows_of(["n1", "n2"]))
    assert set(cache.get([*texts, "n1", "n2"])) == {"t0", "t1", "n1", "n2", *texts[4:]}
    cache.close()


def test_it_never_holds_more_than_its_bound(path):
    cache = open_cache(path, limit=40)
    texts = [f"t{number}" for number in range(300)]
    for start in range(0, 300, 25):
        part = texts[start : start + 25]
        cache.put(part, rows_of(part))
        assert set(part) <= set(cache.get(texts))
        assert len(cache.get(texts)) <= 40
    cache.close()


def test_use_is_remembered_across_a_restart(path):
    first = open_cache(path, limit=3)
    first.put(["a", "b", "c"], rows_of(["a", "b", "c"]))
    first.get(["a"])
    first.close()
    second = open_cache(path, limit=3)
    second.put(["d"], rows_of(["d"]))
    second.put(["e"], rows_of(["e"]))
    assert set(second.get(["a", "b", "c", "d", "e"])) == {"a", "d", "e"}
    second.close()


def test_a_file_that_is_no_cache_is_started_afresh(path, caplog):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 500)
    cache = open_cache(path)
    assert "encoder cache reset" in caplog.messages
    cache.put(["a"], rows_of(["a"]))
    assert list(cache.get(["a"])) == ["a"]
    cache.close()


def test_a_later_format_is_started_afresh(path, caplog):
    path.parent.mkdir()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE vectors (other TEXT)")
        database.execute("PRAGMA user_version = 9")
    database.close()
    cache = open_cache(path)
    assert [(r.getMessage(), r.reason) for r in caplog.records] == [("encoder cache reset", "format 9, not 1")]
    cache.put(["a"], rows_of(["a"]))
    assert list(cache.get(["a"])) == ["a"]
    cache.close()


def test_a_file_damaged_inside_is_started_afresh(path, caplog):
    cache = open_cache(path, limit=10_000)
    texts = [f"text {number}" for number in range(2000)]
    cache.put(texts, rows_of(texts))
    cache.close()
    size = path.stat().st_size
    with path.open("r+b") as file:  # the first page, with format and schema, stays
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    cache = open_cache(path, limit=10_000)
    cache.get(texts)
    cache.put(texts, rows_of(texts))
    cache.put(["a"], rows_of(["a"]))
    assert "encoder cache reset" in caplog.messages
    assert list(cache.get(["a"])) == ["a"]
    cache.close()


def test_a_vector_of_another_length_is_missing(path):
    cache = open_cache(path)
    cache.put(["a", "b"], rows_of(["a", "b"]))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE vectors SET vector = x'00' WHERE rowid = 1")
    database.close()
    assert list(cache.get(["a", "b"])) == ["b"]
    cache.close()


def test_where_the_disk_refuses_memory_takes_its_place(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    cache = open_cache(tmp_path / "file" / "cache.sqlite")
    assert "encoder cache in memory" in caplog.messages
    cache.put(["a"], rows_of(["a"]))
    assert list(cache.get(["a"])) == ["a"]
    cache.close()


def test_a_locked_file_is_done_without(path, caplog, monkeypatch):
    monkeypatch.setattr("stream_engine.encoder.cache.PATIENCE", 0.0)
    cache = open_cache(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    cache.put(["a"], rows_of(["a"]))
    assert "encoder cache skipped" in caplog.messages
    other.execute("ROLLBACK")
    other.close()
    cache.put(["a"], rows_of(["a"]))
    assert list(cache.get(["a"])) == ["a"]
    cache.close()


def test_one_that_another_process_is_just_making_is_waited_for(path, caplog, monkeypatch):
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("stream_engine.encoder.cache.time.sleep", lambda _: other.rollback())
    cache = open_cache(path)
    other.close()
    assert caplog.messages == []
    cache.put(["a"], rows_of(["a"]))
    assert list(cache.get(["a"])) == ["a"]
    cache.close()


FILL = """
import sys
import numpy as np
from pathlib import Path
from stream_engine.encoder.cache import VectorCache

path, name = sys.argv[1:]
cache = VectorCache(Path(path), "model", 8, limit=60)
for number in range(40):
    cache.put([f"{name}{number}"], np.full((1, 8), number, np.float32))
    cache.get([f"{name}{number}"])
cache.close()
"""


def test_two_processes_may_share_one_file(path):
    command = [sys.executable, "-c", FILL, str(path)]
    workers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in "ab"]
    assert [worker.communicate()[1] for worker in workers] == [b"", b""]  # no traceback, no warning
    cache = open_cache(path)
    found = cache.get([f"{name}{number}" for name in "ab" for number in range(40)])
    cache.close()
    assert 40 <= len(found) <= 60
    for text, row in found.items():
        np.testing.assert_array_equal(row, np.full(8, int(text[1:])))


def test_texts_that_come_once_take_no_more_room_on_the_disk(path):
    cache, sizes = open_cache(path, limit=500), []
    for start in range(0, 20_000, 100):
        texts = [f"text {number}" for number in range(start, start + 100)]
        cache.put(texts, rows_of(texts))
        sizes.append(sum(file.stat().st_size for file in path.parent.iterdir()))
    cache.close()
    assert max(sizes[100:]) <= 1.1 * max(sizes[50:100])
    assert max(sizes) < 8 << 20  # most of it the log of writes
