"""What is kept of users is for the one who runs the engine, whatever the umask."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_engine.encoder.cache import VectorCache
from stream_engine.errors import Unavailable
from stream_engine.local.stack import owned
from stream_engine.settings import Settings, StreamSettings
from stream_engine.streaming import worker as workers


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(0)
    yield tmp_path / "data"
    os.umask(before)


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


async def test_a_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def enough(*_: object) -> None:
        raise Unavailable("test", "has seen enough")

    monkeypatch.setattr(workers, "Health", enough)
    with pytest.raises(Unavailable, match="enough"):
        await workers.Worker(Settings(stream=StreamSettings(data_dir=folder))).run()
    assert mode(folder) == 0o700


def test_that_of_up_and_demo(folder: Path) -> None:
    with owned(folder):
        assert mode(folder) == 0o700


def test_a_caches(folder: Path) -> None:
    cache = VectorCache(folder / "cache.sqlite", "fp", 4, limit=1)
    cache.close()
    assert mode(folder) == 0o700
