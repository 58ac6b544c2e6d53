"""Child processes that are started on a leash and stopped by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream_engine.local import leash

LARGE = 10_000_000  # bytes a log may have before a start sets it aside


def spawn(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `command`, output appended to `log`; it is killed when the calling thread ends, however it ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGE:
        log.replace(log.with_suffix(".old.log"))
    tied = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            tied,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent only, which stops its children in order
        )


def stop_all(processes: Sequence[subprocess.Popen[bytes]], *, grace: float) -> None:
    """SIGTERM to all, SIGKILL to those still there after `grace` seconds; harmless on those that have left."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + grace
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def command_line(pid: int) -> str | None:
    """The command line of a running process, None where there is none or it cannot be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") or None
    except OSError:
        return None


def kill_stale(pid_file: Path, *, mark: str) -> bool:
    """Kill the process a past run left behind; only if its command line holds `mark`, for pids are used again."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return False
    running = command_line(pid)
    ours = running is not None and mark in running
    if ours:
        os.kill(pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)
    return ours


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, to show with an error; empty where there is no log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
