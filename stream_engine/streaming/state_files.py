"""A table's partitions on this worker's disk: an SQLite file each, opened for each use.

What is there only saves reading: whatever is damaged, of another format or of a changelog that was made anew since
(`origin` tells) counts for nothing. A save is one transaction, so a file says how far it is and is as far. What is
deleted is overwritten.
"""

from __future__ import annotations

import logging
import sqlite3
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import accumulate, chain
from pathlib import Path

import msgspec

from stream_engine.errors import Unavailable
from stream_engine.streaming.owners import Token
from stream_engine.streaming.state_store import Saved

log = logging.getLogger(__name__)
FORMAT_VERSION = 1
SCHEMA = (
    "CREATE TABLE states (key BLOB PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE progress (origin TEXT NOT NULL, applied INTEGER, owners BLOB NOT NULL)",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)
# One statement for all rows: SQLite lets go of the interpreter for each, and would have to wait for it as often
INSERT = """
    INSERT OR REPLACE INTO states
    SELECT substr(?1, json_extract(value, '$[0]'), json_extract(value, '$[1]')),
           substr(?1, json_extract(value, '$[2]'), json_extract(value, '$[3]'))
    FROM json_each(?2)
"""
DELETE = """
    DELETE FROM states WHERE key IN (
        SELECT substr(?1, json_extract(value, '$[0]'), json_extract(value, '$[1]')) FROM json_each(?2)
    )
"""
SETUP = ("PRAGMA secure_delete = ON", "PRAGMA synchronous = NORMAL")
SUFFIX = ".sqlite"
_TOKEN = struct.Struct(">qi")


class StateFiles:
    """The files of one table in a folder of their own; for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, origin: str) -> dict[int, Saved]:
        """What there is of this origin, by partition."""
        found: dict[int, Saved] = {}
        for partition in sorted(self._partitions()):
            try:
                saved = _read(self._path(partition), origin)
            except sqlite3.Error as error:
                log.warning("state file left out", extra={"file": str(self._path(partition)), "reason": repr(error)})
            else:
                if saved is not None:
                    found[partition] = saved
        return found

    def save(self, partition: int, saved: Saved, origin: str) -> None:
        """Add what changed to what there is; raises Unavailable, and what is there is not to be relied on then."""
        path = self._path(partition)
        with _disk(path):
            self._folder.mkdir(0o700, parents=True, exist_ok=True)
            if saved.anew:
                _remove(path)
            _write(path, origin, saved)

    def keep(self, partitions: Collection[int]) -> None:
        """Remove the files of all others, for nobody tells us what is to be deleted there; raises Unavailable."""
        with _disk(self._folder):
            for partition in self._partitions() - set(partitions):
                _remove(self._path(partition))

    def _partitions(self) -> set[int]:
        stems = {path.stem for path in self._folder.glob(f"*{SUFFIX}")}
        return {int(stem) for stem in stems if stem.isdecimal()}

    def _path(self, partition: int) -> Path:
        return self._folder / f"{partition}{SUFFIX}"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable("disk", f"{path}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as database:
        for each in SETUP:
            database.execute(each)
        yield database


def _read(path: Path, origin: str) -> Saved | None:
    """What is in a file; None if it is of another format or origin."""
    with _opened(path) as database:
        if database.execute("PRAGMA user_version").fetchone()[0] != FORMAT_VERSION:
            return None
        progress = database.execute("SELECT origin, applied, owners FROM progress").fetchone()
        if progress is None or progress[0] != origin:
            return None
        values = dict(database.execute("SELECT key, value FROM states"))
        return Saved(values, progress[1], tuple(_tokens(progress[2])))


def _write(path: Path, origin: str, saved: Saved) -> None:
    gone = [(key,) for key, value in saved.values.items() if value is None]
    there = [(key, value) for key, value in saved.values.items() if value is not None]
    with _opened(path) as database, database:
        database.execute("BEGIN IMMEDIATE")
        if saved.anew:
            for each in SCHEMA:
                database.execute(each)
            database.execute("INSERT INTO progress VALUES (?, NULL, x'')", (origin,))
        database.execute(INSERT, _strung(there))
        database.execute(DELETE, _strung(gone))
        far = "UPDATE progress SET applied = coalesce(?, applied), owners = ? WHERE origin = ?"
        if database.execute(far, (saved.applied, _packed(saved.owners), origin)).rowcount != 1:
            raise sqlite3.DataError("it is not the file it was")


def _strung(rows: Sequence[tuple[bytes, ...]]) -> tuple[bytes, str]:
    """All fields one after the other; and of each row where each field begins (from 1) and how long it is, as JSON."""
    ends = accumulate(map(len, chain.from_iterable(rows)), initial=1)
    places = [[spot for field in row for spot in (next(ends), len(field))] for row in rows]
    return b"".join(chain.from_iterable(rows)), msgspec.json.encode(places).decode()


def _packed(owners: Iterable[Token]) -> bytes:
    return b"".join(_TOKEN.pack(*token) for token in owners)


def _tokens(packed: bytes) -> Sequence[Token]:
    return [Token(*each) for each in _TOKEN.iter_unpack(packed)]
