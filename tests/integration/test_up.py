"""`stream-engine up` as a user has it: ready, useful, hurt, stopped, killed, started again; the encoder is hashed."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_engine.cli.main import main
from stream_engine.local.processes import command_line

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CACHE = Path(__file__).parents[2] / ".cache"


class Up:
    """A running `stream-engine up`."""

    def __init__(self, folder: Path) -> None:
        environment = {
            **os.environ,
            "STREAM_ENGINE_ENCODER__MODEL": "hashed",
            "STREAM_ENGINE_INDEX__LOCATION": "memory",
            "STREAM_ENGINE_KAFKA__PARTITIONS": "2",
            "STREAM_ENGINE_LOCAL__CACHE_DIR": str(CACHE),
        }
        command = [sys.executable, "-m", "stream_engine.cli.main", "up", "--data-dir", str(folder)]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=folder)
        line = self.process.stdout.readline() if self.process.stdout else ""
        found = re.match(r"ready: broker at (\S+), data in", line)
        if not found:
            self.process.wait(30)
            pytest.fail(f"up said {line!r} and left with {self.process.returncode}")
        self.bootstrap = found[1]

    def children(self) -> set[int]:
        """The broker and the workers."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(pid) for task in tasks for pid in task.read_text().split()}

    def worker(self) -> int | None:
        """The worker's pid."""
        return next((pid for pid in self.children() if "worker" in (command_line(pid) or "")), None)

    def close(self) -> None:
        """Whatever happened, leave nothing."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def start(tmp_path: Path, broker: object) -> Iterator[Callable[[], Up]]:
    """Starts `up` on one and the same folder. (`broker`: skips where there can be none.)"""
    started: list[Up] = []

    def up() -> Up:
        started.append(Up(tmp_path))
        return started[-1]

    yield up
    for each in started:
        each.close()


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def gone(pids: set[int]) -> bool:
    return not any(command_line(pid) for pid in pids)


def test_up_serves_survives_and_stops(
    start: Callable[[], Up], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = start()

    def click(item: str, interactions: int) -> bool:
        Path("click").write_text(json.dumps({"user_id": "u", "item_id": item}) + "\n")
        assert main(["produce", "clicks", "click", "--data-dir", str(tmp_path)]) == 0
        return eventually(lambda: known_interactions() == interactions)

    def known_interactions() -> int | None:
        capsys.readouterr()
        if main(["users", "show", "u", "--json", "--data-dir", str(tmp_path)]) != 0:
            return None
        recommendation = json.loads(capsys.readouterr().out)["recommendation"]
        return recommendation["interactions"] if recommendation else None

    Path("items").write_text("".join(f'{{"item_id": "i{n}", "title": "red shoe {n}"}}\n' for n in range(5)))
    assert main(["produce", "items", "items", "--data-dir", str(tmp_path)]) == 0
    assert click("i1", 1)

    hurt = first.worker()
    assert hurt is not None
    os.kill(hurt, signal.SIGKILL)
    assert eventually(lambda: first.worker() not in (None, hurt))
    assert click("i2", 2)

    pids = first.children()
    assert len(pids) == 2
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(40) == 0
    assert gone(pids)
    assert not (tmp_path / "bootstrap").exists()

    second = start()
    assert second.bootstrap == first.bootstrap
    assert click("i3", 3)
    pids = second.children()
    second.process.kill()
    assert eventually(lambda: gone(pids), 10)


def test_the_readmes_python_example_prints_a_list(start: Callable[[], Up], tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)
    assert found
    example = [sys.executable, "-u", "-c", found[1].replace("127.0.0.1:9092", start().bootstrap)]
    with subprocess.Popen(example, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        assert running.stdout
        try:
            assert select.select([running.stdout], [], [], 30)[0], "nothing in 30 s"
            assert running.stdout.readline().startswith("alice [")
        finally:
            running.kill()
