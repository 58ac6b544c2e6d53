"""The embedded default: broker, topics, model and workers, started in order and stopped together."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stream_engine.encoder.fetch import fetch
from stream_engine.encoder.load import HASHED, model_directory
from stream_engine.errors import BadConfiguration
from stream_engine.folders import make_private
from stream_engine.local.broker import Broker
from stream_engine.local.jars import ensure_jars, java
from stream_engine.local.ports import free_port
from stream_engine.local.supervisor import Supervisor, Worker
from stream_engine.ranking.warmup import warm_up
from stream_engine.settings import EncoderSettings, Settings, environment
from stream_engine.streaming.admin import create_or_verify

Report = Callable[[str], None]
BOOTSTRAP = "bootstrap"  # in the data folder: where the running broker is
READY_WITHIN = 180.0  # seconds; a first start reads all items


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and the settings to reach it with."""

    settings: Settings
    broker: Broker
    workers: Supervisor

    def tend(self, report: Report) -> None:
        """Restart a broker that has died; raises when the workers cannot be kept running. Call it now and then."""
        if not self.broker.alive():
            report(f"the broker has died, see {self.broker.log}; starting it again")
            self.broker.start()
        self.workers.check()


@contextmanager
def running(settings: Settings, *, report: Report) -> Iterator[Stack]:
    """Everything up and ready; all of it is stopped at the end, in whatever way that comes.

    Call it from the main thread: the processes are tied to the thread that started them.
    """
    folder = settings.stream.data_dir.absolute()
    with ExitStack() as ending:
        ending.enter_context(owned(folder))
        jars, local = prepared(settings, report=report), settings.local
        report("starting Apache Kafka")
        broker = ending.enter_context(Broker(folder, jars=jars, heap_mb=local.heap_mb))
        broker.start(port=local.port)
        ours = with_values(settings, {"kafka": {"broker": broker.bootstrap}})
        create_or_verify(ours)
        workers = Supervisor([worker(ours, folder, number) for number in range(1, local.workers + 1)], report=report)
        ending.callback(workers.stop)
        report(f"starting {local.workers} worker{'s' if local.workers > 1 else ''}")
        workers.start()
        workers.wait_ready(deadline=READY_WITHIN)
        note = folder / BOOTSTRAP
        note.write_text(broker.bootstrap)
        ending.callback(note.unlink, missing_ok=True)
        yield Stack(ours, broker, workers)


def prepared(settings: Settings, *, report: Report) -> Path:
    """Fetch and compile what is missing; the folder with the broker's jars. BadConfiguration says what to install."""
    report("compiling for this machine")
    warm_up()
    ensure_model(settings.encoder, report=report)
    java()
    return ensure_jars(settings.local.cache_dir, report=report)


def worker(settings: Settings, folder: Path, number: int) -> Worker:
    """How worker `number` is started: every setting in its environment, the telling ones on its command line too."""
    name = f"worker-{number}"
    stream = {"worker": name, "data_dir": folder / name, "metrics_port": free_port()}
    own = with_values(settings, {"stream": stream})
    command = [sys.executable, "-m", "stream_engine.cli.main", "worker", "--broker", own.kafka.broker]
    return Worker(
        name=name,
        command=[*command, "--data-dir", str(own.stream.data_dir)],
        environment=environment(own),
        log=folder / "logs" / f"{name}.log",
        port=own.stream.metrics_port,
    )


def ensure_model(encoder: EncoderSettings, *, report: Report) -> None:
    """Fetch the settings' model unless it is there, or is the caller's own directory."""
    if encoder.model_dir is None and encoder.model != HASHED:
        fetch(encoder.model, model_directory(encoder), report=report)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold a data folder; BadConfiguration when another process holds it. It goes with the process."""
    make_private(folder)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadConfiguration("stream.data_dir", f"{folder} is in use by another `up` or `demo`") from error
        yield


def with_values(settings: Settings, groups: dict[str, dict[str, object]]) -> Settings:
    """The settings with some values replaced."""
    changed = {name: getattr(settings, name).model_copy(update=values) for name, values in groups.items()}
    return settings.model_copy(update=changed)


def find_bootstrap(data_dir: Path) -> str | None:
    """Where the broker of the `up` that runs on this folder is; None where none runs."""
    try:
        return (data_dir / BOOTSTRAP).read_text().strip() or None
    except OSError:
        return None
