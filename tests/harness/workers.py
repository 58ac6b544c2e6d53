"""Real workers as processes: started, hurt, and started again when they leave."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stream_engine.local.processes import spawn, stop_all
from stream_engine.settings import Settings, environment

COMMAND = [sys.executable, "-m", "stream_engine.cli.main", "worker"]
STARTS_AFTER = 0.5  # seconds
READY_WITHIN = 120.0
GRACE = 30.0


class WorkerProcess:
    """One replica in a process of its own, with a data folder of its own."""

    def __init__(self, folder: Path, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self.folder = folder
        self._command = command
        self._environment = environment(settings) | {"STREAM_ENGINE_STREAM__DATA_DIR": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None
        self._left_at: float | None = None
        self.frozen = False
        self.codes: list[int] = []  # of those that left

    @property
    def log(self) -> Path:
        """Where it says what it does."""
        return self.folder / "log"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "never started"
        return self._process.pid

    def start(self) -> None:
        """Start the process; its log goes on where it ended. From the main thread: it dies with the caller's."""
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        (self.folder / "health.port").unlink(missing_ok=True)
        self._process = spawn(self._command, log=self.log, environment=self._environment)
        self._left_at = None
        self.frozen = False

    def tend(self, now: float) -> None:
        """Start it again a moment after it has left, as a supervisor does."""
        if self._process is None or self.running:
            return
        if self._left_at is None:
            self._left_at = now
            self.codes.append(self._process.returncode)
        if now - self._left_at >= STARTS_AFTER:
            self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self._process is not None and self.running:
            self._process.send_signal(number)
            self.frozen = number == signal.SIGSTOP or (self.frozen and number != signal.SIGCONT)

    def wait(self, seconds: float = GRACE) -> int:
        """Its exit code; TimeoutExpired while it runs on."""
        assert self._process is not None, "never started"
        return self._process.wait(seconds)

    def stop(self) -> None:
        """End it for good, -9 when SIGTERM does not do."""
        if self._process is not None:
            self.signal(signal.SIGCONT)
            stop_all([self._process], grace=GRACE)

    def get(self, path: str) -> tuple[int, str]:
        """Its answer on a path of its health page; status 0 where there is none."""
        try:
            port = int((self.folder / "health.port").read_text())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, ValueError):
            return 0, ""

    def ready(self) -> bool:
        """Whether its /ready says so."""
        return self.running and not self.frozen and self.get("/ready")[0] == 200

    def counted(self, sample: str) -> float:
        """A line of its metrics, such as `stream_engine_records_total{topic="clicks"}`; 0 where it is not there."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(sample + " ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@contextmanager
def cluster(
    folder: Path,
    settings: Settings,
    count: int,
    *,
    command: Sequence[str] = COMMAND,
    within: float = READY_WITHIN,
) -> Iterator[list[WorkerProcess]]:
    """Some workers, ready; stopped at the end whatever happens."""
    workers = [WorkerProcess(folder / f"worker-{number}", settings, command) for number in range(count)]
    try:
        for worker in workers:
            worker.start()
        wait_for(lambda: all(worker.ready() for worker in workers), "workers to be ready", within)
        yield workers
    finally:
        for worker in workers:
            worker.signal(signal.SIGCONT)
            worker.signal(signal.SIGTERM)
        for worker in workers:
            worker.stop()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return when the condition holds; TimeoutError naming it after so long."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
