"""Supervision of real processes: small scripts in the place of workers."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.local.backoff import Policy
from stream_engine.local.ports import free_port
from stream_engine.local.processes import command_line, kill_stale
from stream_engine.local.supervisor import Supervisor, Worker, is_ready

QUICK = Policy(first=0.05, longest=0.1, healthy_after=60.0)
READY = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY


@contextmanager
def supervised(program: str, tmp_path: Path, count: int = 1, grace: float = 5.0) -> Iterator[Supervisor]:
    def worker(number: int) -> Worker:
        port = free_port()
        command = [sys.executable, "-c", program, str(port)]
        return Worker(f"worker-{number}", command, dict(os.environ), tmp_path / f"{number}.log", port)

    supervisor = Supervisor([worker(number) for number in range(count)], policy=QUICK, grace=grace)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_all_become_ready_and_none_survives(tmp_path: Path) -> None:
    with supervised(READY, tmp_path, count=2) as supervisor:
        supervisor.wait_ready(deadline=20)
        pids = supervisor.pids()
        assert len(pids) == 2
    assert not any(command_line(pid) for pid in pids)


def test_one_that_is_killed_comes_back(tmp_path: Path) -> None:
    with supervised(READY, tmp_path) as supervisor:
        supervisor.wait_ready(deadline=20)
        (before,) = supervisor.pids()
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: supervisor.pids() and supervisor.pids() != [before])
        supervisor.wait_ready(deadline=20)
        supervisor.check()


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with supervised(STUBBORN, tmp_path, grace=0.2) as supervisor:
        supervisor.wait_ready(deadline=20)
        pids = supervisor.pids()
    assert not any(command_line(pid) for pid in pids)


def test_a_refused_setting_is_reported_with_what_it_said(tmp_path: Path) -> None:
    program = "import sys; print('kafka.broker: no'); sys.exit(2)"
    with (
        supervised(program, tmp_path) as supervisor,
        pytest.raises(BadConfiguration, match="refused its settings:\nkafka"),
    ):
        supervisor.wait_ready(deadline=20)


def test_one_that_never_holds_is_reported(tmp_path: Path) -> None:
    with supervised("raise SystemExit('boom')", tmp_path) as supervisor, pytest.raises(Unavailable, match="boom"):
        supervisor.wait_ready(deadline=20)


def test_one_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    program = "import time; time.sleep(60)"
    with supervised(program, tmp_path) as supervisor, pytest.raises(Unavailable, match="not ready after"):
        supervisor.wait_ready(deadline=0.3)


def test_workers_die_with_the_supervisor(tmp_path: Path) -> None:
    program = f"""
    import os, sys, time
    from pathlib import Path
    from stream_engine.local.supervisor import Supervisor, Worker
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    supervisor = Supervisor([Worker("w", command, dict(os.environ), Path({str(tmp_path)!r}) / "log", 1)])
    supervisor.start()
    while not supervisor.pids(): time.sleep(.01)
    print(*supervisor.pids(), flush=True)
    time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    assert eventually(lambda: not command_line(pid))


def test_a_stale_pid_is_only_killed_when_it_is_ours(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "our-mark"]) as other:
        assert eventually(lambda: "our-mark" in (command_line(other.pid) or ""))
        pid_file.write_text(str(other.pid))
        assert not kill_stale(pid_file, mark="another-mark")
        assert other.poll() is None
        assert not pid_file.exists()
        pid_file.write_text(str(other.pid))
        assert kill_stale(pid_file, mark="our-mark")
        assert other.wait(5) == -signal.SIGKILL
    pid_file.write_text("nonsense")
    assert not kill_stale(pid_file, mark="our-mark")


def test_nothing_listening_is_not_ready() -> None:
    assert not is_ready(free_port())
