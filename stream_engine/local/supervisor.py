"""Keeps worker processes running, and stops all of them."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.local.backoff import Policy, Slot, has_left, is_due, was_started
from stream_engine.local.processes import last_lines, spawn, stop_all

TICK = 0.1
HOPELESS = 4  # failures in a row at the start


@dataclass(frozen=True, slots=True)
class Worker:
    """How one worker is started, and where it says that it is ready (`GET /ready` answers 200)."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    port: int


class Supervisor:
    """Starts workers, restarts those that leave, and kills those that do not stop in time."""

    def __init__(
        self,
        workers: Sequence[Worker],
        *,
        policy: Policy | None = None,
        grace: float = 10.0,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._workers = workers
        self._policy = policy or Policy()
        self._grace = grace
        self._report = report
        self._slots = [Slot() for _ in workers]
        self._processes: list[subprocess.Popen[bytes] | None] = [None for _ in workers]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start all workers and watch them from a thread; should the thread die, so do they."""
        self._thread.start()

    def pids(self) -> list[int]:
        """The process ids of those that run now."""
        return [process.pid for process in list(self._processes) if process is not None and process.poll() is None]

    def check(self) -> None:
        """BadConfiguration when a worker refuses its settings; Unavailable when nobody watches them any more."""
        for worker, slot in zip(self._workers, self._slots, strict=True):
            if slot.wrong_setting:
                raise BadConfiguration(worker.name, f"refused its settings:\n{last_lines(worker.log)}")
        if not self._thread.is_alive() and not self._stopping.is_set():
            raise Unavailable("supervisor", "has died")

    def wait_ready(self, *, deadline: float) -> None:
        """Return when every worker is ready; Unavailable after `deadline` seconds, or when one cannot be started."""
        until = time.monotonic() + deadline
        for place, worker in enumerate(self._workers):
            while not is_ready(worker.port):
                self.check()
                if self._slots[place].failures >= HOPELESS:
                    raise Unavailable(worker.name, f"leaves as soon as it starts:\n{last_lines(worker.log)}")
                if time.monotonic() > until:
                    raise Unavailable(worker.name, f"not ready after {deadline:.0f} s:\n{last_lines(worker.log)}")
                time.sleep(TICK)

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to those still there after the grace; none is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        try:
            while not self._stopping.wait(TICK):
                for place in range(len(self._workers)):
                    self._tend(place, time.monotonic())
        finally:  # from this very thread: the children are on its leash
            stop_all([process for process in self._processes if process is not None], grace=self._grace)

    def _tend(self, place: int, now: float) -> None:
        worker, process, slot = self._workers[place], self._processes[place], self._slots[place]
        if slot.running and process is not None and (code := process.poll()) is not None:
            self._report(f"{worker.name} left with code {code}; see {worker.log}")
            slot = has_left(slot, code, now, self._policy)
        if is_due(slot, now):
            self._processes[place] = spawn(worker.command, log=worker.log, environment=worker.environment)
            slot = was_started(slot, now)
        self._slots[place] = slot


def is_ready(port: int, path: str = "/ready", *, timeout: float = 1.0) -> bool:
    """Whether a worker's HTTP server on loopback answers 200 there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
