"""What is kept of users is for the one who runs the engine, whatever the umask."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_engine.encoder.cache import VectorCache
from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.folders import make_private, note
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


async def test_one_that_cannot_be_written_is_refused_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(stream=StreamSettings(data_dir=tmp_path / "file" / "data"))
    with pytest.raises(BadConfiguration, match=r"stream\.data_dir: .*file/data cannot be written \(Not a directory\)"):
        await workers.Worker(settings).run()
    (tmp_path / "health.port").mkdir()
    with pytest.raises(BadConfiguration, match=r"stream\.data_dir: .* cannot be written"):
        note(tmp_path / "health.port", "1")


def test_a_full_disk_is_no_reason_not_to_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        note(tmp_path / "health.port", "1")
    assert "disk full" in caplog.text


def test_one_that_others_may_read_is_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_private(folder)
    make_private(folder)
    assert not caplog.records
    folder.chmod(0o755)
    make_private(folder)
    (told,) = caplog.records
    assert vars(told)["advice"].endswith(f"chmod 700 {folder}")
    assert mode(folder) == 0o755  # it may be a folder with more in it
