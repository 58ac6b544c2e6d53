"""`stream-engine up`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from stream_engine.cli.options import DataDir, Index, settings_for
from stream_engine.cli.terminal import Say, progress_lines, stop_on_signals
from stream_engine.local.stack import prepared, running
from stream_engine.settings import Settings

Workers = Annotated[int | None, typer.Option(metavar="N", help="Worker processes.")]
Port = Annotated[
    int | None, typer.Option(metavar="P", help="The broker's port; without it, a free one, then the same.")
]

Prepare = Annotated[bool, typer.Option("--prepare", help="Only fetch and compile what is needed, and leave.")]


def up(
    context: typer.Context,
    *,
    workers: Workers = None,
    port: Port = None,
    data_dir: DataDir = None,
    index: Index = None,
    prepare: Prepare = False,
) -> None:
    """Run the embedded default in the foreground: broker, topics, workers. Ctrl-C or SIGTERM stops all of it."""
    flags = {"local.workers": workers, "local.port": port, "stream.data_dir": data_dir, "index.location": index}
    settings = settings_for(context, flags)
    stop_on_signals()
    try:
        with progress_lines() as report:
            if prepare:
                prepared(settings, report=report)
                return
            serve(settings, report)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


def serve(settings: Settings, report: Say) -> None:
    """Run the stack until interrupted."""
    with running(settings, report=report) as stack:
        report(None)
        typer.echo(f"ready: broker at {stack.broker.bootstrap}, data in {settings.stream.data_dir}")
        while True:
            stack.tend(report)
            time.sleep(0.5)
