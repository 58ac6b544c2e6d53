"""Real workers as processes: started, hurt, and started again when they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

STARTS_AFTER = 0.5


class Worker:
    """One replica in a process of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment, "STREAM_ENGINE_STREAM__DATA_DIR": str(folder)}
        self._log: IO[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.left_at: float | None = None
        self.starts = 0
        self.retired = False

    def start(self) -> None:
        """Start the process; its log goes on where it ended."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._log or (self._folder / "log").open("ab")
        (self._folder / "health.port").unlink(missing_ok=True)
        command = [sys.executable, "-m", "stream_engine.cli.main", "worker"]
        self.process = subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)
        self.starts += 1
        self.left_at = None

    def tend(self, now: float) -> None:
        """Start it again a moment after it has left."""
        if self.process is None or self.retired or self.process.poll() is None:
            return
        self.left_at = self.left_at or now
        if now - self.left_at >= STARTS_AFTER:
            self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def ready(self) -> bool:
        """Whether its /ready says so."""
        try:
            port = int((self._folder / "health.port").read_text())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    def retire(self, grace: float = 20.0) -> int:
        """Stop for good; -9 when SIGTERM does not do within the grace."""
        self.retired = True
        if self.process is None:
            return 0
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if self._log is not None:
            self._log.close()
        return code


@contextmanager
def cluster(folder: Path, environment: Mapping[str, str], count: int) -> Iterator[list[Worker]]:
    """Some workers, ready; stopped at the end whatever happens."""
    workers = [Worker(folder / f"worker-{number}", environment) for number in range(count)]
    try:
        for worker in workers:
            worker.start()
        wait_for(lambda: all(worker.ready() for worker in workers), 60, "workers to be ready")
        yield workers
    finally:
        for worker in workers:
            worker.signal(signal.SIGCONT)
            worker.signal(signal.SIGTERM)
        for worker in workers:
            worker.retire()


def wait_for(condition: object, deadline: float, what: str) -> None:
    """Return when the condition holds; TimeoutError naming it after `deadline` seconds."""
    until = time.monotonic() + deadline
    while not condition():  # type: ignore[operator]
        if time.monotonic() > until:
            raise TimeoutError(f"waited {deadline:g} s for {what}")
        time.sleep(0.1)
