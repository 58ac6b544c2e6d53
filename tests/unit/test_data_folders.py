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


async def test_a_workers_and_its_metrics_are_for_this_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def served_on(_: object, host: str, __: int) -> None:
        raise Unavailable("test", f"served on {host}")

    monkeypatch.setattr(workers.Health, "start", served_on)
    with pytest.raises(Unavailable, match=r"served on 127\.0\.0\.1"):
        await workers.Worker(Settings(stream=StreamSettings(data_dir=folder))).run()
    assert mode(folder) == 0o700


def test_that_of_up_and_demo(folder: Path) -> None:
    with owned(folder):
        assert mode(folder) == 0o700


def test_a_caches(folder: Path) -> None:
    cache = VectorCache(folder / "cache.sqlite", "fp", 4, limit=1)
    cache.close()
    assert mode(folder) == 0o700
