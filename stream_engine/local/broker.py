"""The embedded broker: Apache Kafka as a single KRaft node on loopback, its data under one folder."""

from __future__ import annotations

import base64
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from types import TracebackType

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.local.broker_config import Listener, log4j2_properties, server_properties
from stream_engine.local.jars import ensure_jars, java
from stream_engine.local.ports import HOST, free_port, is_bindable
from stream_engine.local.processes import kill_stale, last_lines, spawn, stop_all


class Broker(AbstractContextManager["Broker"]):
    """One broker process; it keeps its port and its data from one start to the next.

    A `lasting` one starts more slowly and takes half the CPU once it is warm: Java compiles it twice, as it would by
    itself.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        jars: Path,
        heap_mb: int = 512,
        lasting: bool = False,
        deadline: float = 60.0,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._folder = data_dir.absolute() / "kafka"
        self._jars = jars
        self._heap_mb = heap_mb
        self._lasting = lasting
        self._deadline = deadline
        self._listeners = listeners
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """HOST:PORT for clients; the same after a restart."""
        return f"{HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running.pid

    @property
    def log(self) -> Path:
        """Where Kafka logs."""
        return self._folder / "server.log"

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, port: int = 0) -> None:
        """Start and wait until it answers; Unavailable with the end of its log when it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        kill_stale(self._pid_file, mark=str(properties))
        self._port = port or self._port or _remembered(self._folder)
        if not self._port or (port == 0 and not is_bindable(self._port)):
            self._port = free_port()
        elif not is_bindable(self._port):
            raise BadConfiguration("local.port", f"{self._port} is in use")
        (self._folder / "port").write_text(str(self._port))
        data = self._folder / "log"
        properties.write_text(
            server_properties(data=data, port=self._port, controller_port=free_port(), listeners=self._listeners)
        )
        (self._folder / "log4j2.properties").write_text(log4j2_properties(self.log))
        if not (data / "meta.properties").exists():
            self._format(properties)
        self._process = spawn(self._java("kafka.Kafka", str(properties)), log=self._console)
        self._pid_file.write_text(str(self._process.pid))
        self._await_ready()

    def stop(self, *, grace: float = 20.0) -> None:
        """Stop in order; harmless on one that has left."""
        if self._process is not None:
            stop_all([self._process], grace=grace)
            self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._running.kill()
        self._running.wait()

    def restart(self) -> None:
        """Stop where it runs, and start again on the same port and data."""
        self.stop()
        self.start(port=self._port)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise Unavailable("broker", "not started")
        return self._process

    @property
    def _pid_file(self) -> Path:
        return self._folder / "broker.pid"

    @property
    def _console(self) -> Path:
        return self._folder / "console.log"

    def _java(self, *arguments: str) -> list[str]:
        options = [
            f"-Xmx{self._heap_mb}m",
            "-XX:+UseSerialGC",
            *([] if self._lasting else ["-XX:TieredStopAtLevel=1"]),
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
        ]
        return [java(), *options, "-cp", f"{self._jars}/*", *arguments]

    def _format(self, properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties))
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
        if done.returncode != 0:
            raise Unavailable("broker", f"could not format {self._folder}: {(done.stderr or done.stdout).strip()}")

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self._deadline
        while not _answers(self.bootstrap):
            if not self.alive() or time.monotonic() > deadline:
                self.stop(grace=0)
                raise Unavailable("broker", f"did not start; see {self.log}\n{last_lines(self._console)}")
            time.sleep(0.05)


def start_broker(
    data_dir: Path,
    *,
    cache_dir: Path,
    port: int = 0,
    heap_mb: int = 512,
    lasting: bool = False,
    listeners: Sequence[Listener] = (),
    report: Callable[[str], None] = lambda _: None,
) -> Broker:
    """A running broker with its data under `data_dir`; BadConfiguration where Java or Maven is missing."""
    java()
    jars = ensure_jars(cache_dir, report=report)
    broker = Broker(data_dir, jars=jars, heap_mb=heap_mb, lasting=lasting, listeners=listeners)
    broker.start(port=port)
    return broker


def _answers(bootstrap: str) -> bool:
    host, port = bootstrap.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=5_000)) as client:
            return bool(client.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def _remembered(folder: Path) -> int:
    try:
        return int((folder / "port").read_text())
    except (OSError, ValueError):
        return 0
