"""A worker whose data folder is on a disk that fills up goes on without its index, and has it back: about 30 s."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from io import FileIO
from itertools import count
from pathlib import Path

import pytest
from harness.live import Live, engine, settings_on
from harness.workers import COMMAND, WorkerProcess, wait_for

from stream_engine.local.broker import Broker
from stream_engine.settings import EncoderSettings
from stream_engine.streaming.admin import create_or_verify

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIZE = 192 << 20  # bytes: the index leaves 64 MB free
TITLES = {f"item-{number}": f"thing number {number}" for number in range(20)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={SIZE},mode=0700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while _took(file, bytes(1 << 16)):
            pass
    return filler


def _took(file: FileIO, block: bytes) -> bool:
    try:
        return file.write(block) > 0
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017 - any other is no full disk
        return False


def degraded(live: Live, clicks: Iterator[int]) -> list[str]:
    """What the list after one more click was made without."""
    number = next(clicks)
    live.click("ann", f"item-{number % len(TITLES)}")
    assert live.list_of("ann", number), "never an empty list"
    answer = live.answers.last["ann"]
    assert answer is not None
    return list(answer["degraded"])


def test_a_disk_that_fills_up_and_is_cleared(broker: Broker, tiny_model: Path, disk: Path) -> None:
    encoder = EncoderSettings(model_dir=tiny_model)
    settings = settings_on(broker.bootstrap, "full-disk", encoder=encoder, index="edge")
    with engine(disk, settings, 1) as live:
        (worker,), clicks = live.workers, count(1)
        live.items(TITLES)
        live.until_known(TITLES)
        wait_for(lambda: degraded(live, clicks) == [], "a list with all there is")
        pid = worker.pid

        filler = fill(disk)
        live.items({"late": "thing number late"})
        wait_for(lambda: worker.get("/ready") == (200, "ready, without index\n"), "the worker to miss its index")
        for _ in range(10):
            assert degraded(live, clicks) == ["index"]
        later = {f"later-{number}": f"thing number later {number}" for number in range(100)}
        live.items(later)  # the encoder's cache has no room for them
        live.until_known(later)

        filler.unlink()
        wait_for(lambda: worker.get("/ready") == (200, "ready\n"), "the index to be back", 60)
        wait_for(lambda: degraded(live, clicks) == [], "a list with all there is")
        assert (worker.pid, worker.running) == (pid, True)
        assert live.letters() == []

        worker.stop()
        filler = fill(disk)
        os.truncate(filler, filler.stat().st_size - (64 << 10))  # for the log
        worker.start()
        wait_for(lambda: worker.get("/ready") == (200, "ready, without index\n"), "a start without the index", 120)
        assert degraded(live, clicks) == ["index"]
        filler.unlink()
        wait_for(lambda: worker.get("/ready") == (200, "ready\n"), "the index to be there", 60)
        assert live.letters() == []


def test_a_read_only_folder_is_refused(broker: Broker, prefix: str, disk: Path, tmp_path: Path) -> None:
    settings = settings_on(broker.bootstrap, prefix)
    create_or_verify(settings)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    worker = WorkerProcess(tmp_path / "worker", settings, [*COMMAND, "--data-dir", str(disk / "data")])
    worker.start()
    try:
        assert worker.wait(60) == 2
    finally:
        worker.stop()
    assert f"stream.data_dir: {disk / 'data'} cannot be written (Read-only file system)" in worker.log.read_text()
