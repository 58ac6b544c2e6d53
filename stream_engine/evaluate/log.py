"""A log to evaluate over: a catalogue and what users did, in the order it happened, from files of JSON lines."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stream_engine.codec import Limits, decode_interaction, decode_item
from stream_engine.errors import BadConfiguration, PoisonEvent, StreamEngineError
from stream_engine.events import Interaction, Item, Received, Source

TOPIC = "clicks"
GZIP = b"\x1f\x8b"
T = TypeVar("T")


class BadLine(StreamEngineError):
    """A line of a file that cannot be read; says which and why."""

    def __init__(self, path: Path, number: int, reason: str) -> None:
        super().__init__(f"{path}:{number}: {reason}")


@dataclass(frozen=True, slots=True)
class Log:
    """Each item once, and the interactions by time; the place of one in `received` is its offset."""

    items: tuple[Item, ...]
    received: tuple[Received, ...]


def read_log(items: Path, events: Path) -> Log:
    """The log in two files, plain or gzipped; raises BadLine, and BadConfiguration where a file cannot be opened."""
    limits = Limits()

    def item(line: bytes) -> Item | None:
        found = decode_item(line, key=None, headers=(), timestamp=0.0, limits=limits)
        return found if isinstance(found, Item) else None

    def interaction(line: bytes) -> Interaction:
        return decode_interaction(line, key=None, headers=(), timestamp=0.0, limits=limits)

    return log_of((each for each in _read(items, item) if each), _read(events, interaction))


def log_of(items: Iterable[Item], interactions: Iterable[Interaction]) -> Log:
    """The last word on each item, and the interactions by time, those of one moment in the order given."""
    catalogue = {item.item_id: item for item in items}
    ordered = sorted(interactions, key=lambda each: each.timestamp)
    received = (Received(each, Source(TOPIC, 0, place)) for place, each in enumerate(ordered))
    return Log(tuple(catalogue.values()), tuple(received))


def _read(path: Path, decode: Callable[[bytes], T]) -> Iterator[T]:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP
        with gzip.open(path) if zipped else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _decoded(path, number, line, decode)
    except (OSError, EOFError) as error:
        raise BadConfiguration(str(path), getattr(error, "strerror", None) or str(error)) from None


def _decoded(path: Path, number: int, line: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(line)
    except PoisonEvent as error:
        raise BadLine(path, number, str(error)) from None
