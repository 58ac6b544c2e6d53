"""`stream-engine doctor`: is everything there, and if not, what to do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from stream_engine.cli.options import Broker, DataDir, Group, Index, client_settings
from stream_engine.encoder import manifest
from stream_engine.encoder.load import HASHED, model_directory
from stream_engine.errors import StreamEngineError, Unavailable
from stream_engine.index.tls import ssl_context
from stream_engine.settings import Settings
from stream_engine.streaming import admin
from stream_engine.streaming.reachable import require_reachable


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: fine or not, and what there is to say or to do."""

    name: str
    fine: bool
    detail: str


def doctor(
    context: typer.Context, broker: Broker = None, index: Index = None, group: Group = None, data_dir: DataDir = None
) -> None:
    """Check broker, topics, index, model and what `up` needs, and say what to do; exit code 1 if anything is amiss."""
    flags = {"kafka.broker": broker, "index.location": index, "kafka.group": group, "stream.data_dir": data_dir}
    findings = examine(client_settings(context, flags))
    for finding in findings:
        mark, colour = ("ok", typer.colors.GREEN) if finding.fine else ("!!", typer.colors.RED)
        typer.echo(f"{typer.style(mark, fg=colour)}  {finding.name:8} {finding.detail}")
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> list[Finding]:
    """Every check, whatever the others say."""
    checks: dict[str, Callable[[Settings], str]] = {
        "broker": broker_answers,
        "topics": topics_agree,
        "index": index_answers,
        "model": model_is_there,
        "data": data_is_writable,
        "local": local_broker_can_start,
    }
    return [_finding(name, check, settings) for name, check in checks.items()]


def broker_answers(settings: Settings) -> str:
    """The broker takes connections and requests."""
    require_reachable(settings.kafka)
    with admin.admin_client(settings.kafka) as client:
        return f"{settings.kafka.broker}, {len(client.describe_cluster()['brokers'])} node(s)"


def topics_agree(settings: Settings) -> str:
    """All topics are there and as they should be."""
    problems = admin.check(settings)
    if problems:
        raise Unavailable("topics", "; ".join(problem.reason for problem in problems))
    return f"{settings.kafka.partitions} partitions each"


def index_answers(settings: Settings) -> str:
    """A Qdrant server is ready; the built-in ones are installed."""
    location = settings.index.location
    if location.startswith("http"):
        headers = {"api-key": settings.index.api_key.get_secret_value()} if settings.index.api_key else {}
        request = urllib.request.Request(f"{location.rstrip('/')}/readyz", headers=headers)  # noqa: S310 - http(s) only
        try:
            verifying = urllib.request.HTTPSHandler(context=ssl_context(settings.index))
            opener = urllib.request.build_opener(verifying, NoRedirects)
            opener.open(request, timeout=settings.index.timeout).close()
        except OSError as error:
            raise Unavailable("index", f"{location}: {error}; start Qdrant there, or use --index edge") from error
    elif location == "edge" and importlib.util.find_spec("qdrant_edge") is None:
        raise Unavailable("index", "qdrant-edge-py is not installed: run `make setup`, or use --index memory")
    return location


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the key is for the server that was named, for no other."""

    def redirect_request(self, *_: object) -> None:
        """Go nowhere."""


def model_is_there(settings: Settings) -> str:
    """The model's files are there, unchanged."""
    encoder = settings.encoder
    if encoder.model == HASHED and encoder.model_dir is None:
        return f"{HASHED} (for tests: it knows no meaning)"
    found = manifest.load(model_directory(encoder))
    return f"{found.fingerprint}, {found.dimensions} dimensions"


def data_is_writable(settings: Settings) -> str:
    """The data folder takes files, and the disk has room."""
    folder = settings.stream.data_dir.absolute()
    existing: Path = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise Unavailable("data", f"{existing} is not writable; choose another with --data-dir")
    free = shutil.disk_usage(existing).free / 1e9
    if free < 1:
        raise Unavailable("data", f"only {free:.1f} GB free on {existing}")
    return f"{folder}, {free:.0f} GB free"


def local_broker_can_start(_settings: Settings) -> str:
    """Java and Maven, for the broker of `up`; a Kafka of one's own needs neither."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        install = "apt-get install openjdk-17-jre-headless maven"
        return f"no {' nor '.join(missing)}: `up` cannot start its own broker ({install})"
    return "java and mvn are there: `up` can start its own broker"


def _finding(name: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name, fine=True, detail=check(settings))
    except StreamEngineError as error:
        return Finding(name, fine=False, detail=str(error))
