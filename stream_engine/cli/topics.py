"""`stream-engine topics create|check`."""

from __future__ import annotations

import typer

from stream_engine.cli.options import Broker, DataDir, Group, client_settings
from stream_engine.settings import Settings
from stream_engine.streaming import admin

app = typer.Typer(help="The topics the engine needs.", no_args_is_help=True)


@app.command()
def create(context: typer.Context, broker: Broker = None, group: Group = None, data_dir: DataDir = None) -> None:
    """Create what is missing; refuse a topic that disagrees with the settings."""
    settings = _settings(context, broker=broker, group=group, data_dir=data_dir)
    for name in admin.create_or_verify(settings):
        typer.echo(f"created {name}")
    typer.echo("all topics will do; `topics check` compares them with what we would make", err=True)


@app.command()
def check(context: typer.Context, broker: Broker = None, group: Group = None, data_dir: DataDir = None) -> None:
    """Say what is missing or disagrees (exit code 1), and what is kept otherwise than we would (a note)."""
    problems, notes = admin.compare(_settings(context, broker=broker, group=group, data_dir=data_dir))
    for problem in problems:
        typer.echo(f"{problem.setting}: {problem.reason}")
    for note in notes:
        typer.echo(f"note: {note.setting}: {note.reason}")
    if problems:
        raise typer.Exit(1)
    typer.echo("all topics will do" if notes else "all topics are as they should be", err=True)


def _settings(context: typer.Context, *, broker: Broker, group: Group, data_dir: DataDir) -> Settings:
    return client_settings(context, {"kafka.broker": broker, "kafka.group": group, "stream.data_dir": data_dir})
