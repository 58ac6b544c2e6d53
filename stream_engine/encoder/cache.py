"""Vectors already computed, on disk, by a hash of model and text."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from stream_engine.vectors import Matrix, Vector

log = logging.getLogger(__name__)
T = TypeVar("T")

FORMAT_VERSION = 1
PATIENCE = 5.0  # seconds to wait for another process
AGAIN = 0.01  # seconds until it is asked again where SQLite does not wait by itself
SLICE = 500  # keys a statement; SQLite's oldest limit is 999
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, used INTEGER NOT NULL, vector BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_use ON vectors (used)",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)


class VectorCache:
    """At most `limit` half-precision vectors, the least recently used going first.

    It never fails its caller: what cannot be read is missing, a damaged file is started afresh, and where the disk
    refuses, memory takes its place. Safe for several processes; within one, for one thread at a time.
    """

    def __init__(self, path: Path, fingerprint: str, dimensions: int, *, limit: int) -> None:
        self._path = path
        self._fingerprint = fingerprint.encode()
        self._dimensions = dimensions
        self._limit = limit
        self._database = self._open()
        self._tick = _last_tick(self._database)

    def get(self, texts: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are there, by text."""
        return self._guarded(lambda: self._get(texts), {})

    def put(self, texts: Sequence[str], rows: Matrix) -> None:
        """Keep one row per text, and forget the longest unused beyond the limit."""
        self._guarded(lambda: self._put(texts, rows), None)

    def close(self) -> None:
        """Free the file; idempotent."""
        self._database.close()

    def _get(self, texts: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        for keys in _slices({self._key(text): text for text in texts}, SLICE):
            marks = ",".join("?" * len(keys))
            select = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - question marks only
            for key, blob in self._database.execute(select, tuple(keys)):
                if len(blob) == 2 * self._dimensions:
                    found[keys[key]] = np.frombuffer(blob, dtype="<f2").astype(np.float32)
        self._tick += 1
        touched = [(self._tick, self._key(text)) for text in found]
        with self._database:
            self._database.executemany("UPDATE vectors SET used = ? WHERE key = ?", touched)
        return found

    def _put(self, texts: Sequence[str], rows: Matrix) -> None:
        self._tick += 1
        blobs = (row.tobytes() for row in rows.astype("<f2"))
        entries = [(self._key(text), self._tick, blob) for text, blob in zip(texts, blobs, strict=True)]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", entries)
            count = self._database.execute("SELECT count(used) FROM vectors").fetchone()[0]
            if count > self._limit:
                # Some slack, so that a full cache does not evict on every write.
                surplus = count - self._limit + self._limit // 20
                oldest = "SELECT rowid FROM vectors ORDER BY used LIMIT ?"
                self._database.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", (surplus,))  # noqa: S608

    def _key(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16, key=self._fingerprint[:64]).digest()

    def _guarded(self, action: Callable[[], T], otherwise: T) -> T:
        try:
            return action()
        except sqlite3.OperationalError as error:  # locked, disk full: this time without
            self._warn("encoder cache skipped", error)
        except sqlite3.DatabaseError as error:  # damaged
            self._warn("encoder cache reset", error)
            self._database.close()
            self._database = self._afresh()
        return otherwise

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._path)
        except (sqlite3.OperationalError, OSError) as error:
            return self._in_memory(error)
        except sqlite3.DatabaseError as error:
            self._warn("encoder cache reset", error)
            return self._afresh()

    def _afresh(self) -> sqlite3.Connection:
        try:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return _connect(self._path)
        except (sqlite3.DatabaseError, OSError) as error:
            return self._in_memory(error)

    def _in_memory(self, error: Exception) -> sqlite3.Connection:
        self._warn("encoder cache in memory", error)
        return _connect(None)

    def _warn(self, event: str, error: Exception) -> None:
        log.warning(event, extra={"path": str(self._path), "reason": str(error)})


def _connect(path: Path | None) -> sqlite3.Connection:
    """An open cache, its format checked; raises sqlite3.DatabaseError or OSError. None stands for memory."""
    if path is not None:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(path or ":memory:", timeout=PATIENCE, check_same_thread=False)
    try:
        _prepare(database)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, FORMAT_VERSION}:
        raise sqlite3.DatabaseError(f"format {version}, not {FORMAT_VERSION}")
    _write_ahead(database)
    database.execute("PRAGMA synchronous = OFF")  # a lost vector is computed again
    with database:
        for statement in SCHEMA:
            database.execute(statement)
    _last_tick(database)  # damage shows here, where it can be mended


def _write_ahead(database: sqlite3.Connection) -> None:
    """Where two processes ask at once, SQLite refuses both without waiting: its time-out does not hold for this."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(AGAIN)
        else:
            return


def _last_tick(database: sqlite3.Connection) -> int:
    tick: int = database.execute("SELECT coalesce(max(used), 0) FROM vectors").fetchone()[0]
    return tick


def _slices(keys: dict[bytes, str], size: int) -> Iterator[dict[bytes, str]]:
    pairs = iter(keys.items())
    while part := dict(islice(pairs, size)):
        yield part
