"""`stream-engine model fetch|verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream_engine.cli.options import settings_for
from stream_engine.cli.terminal import progress_lines
from stream_engine.encoder.fetch import fetch as fetch_model
from stream_engine.encoder.load import HASHED, model_directory
from stream_engine.encoder.verify import verify as problems_of
from stream_engine.errors import BadConfiguration
from stream_engine.settings import EncoderSettings

app = typer.Typer(help="The model that turns text into vectors.", no_args_is_help=True)

Model = Annotated[str | None, typer.Argument(metavar="[ID]", help="Without it, the one in the settings.")]
Source = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A directory to take it from, instead of the network.")
]


@app.command()
def fetch(context: typer.Context, model: Model = None, source: Source = None) -> None:
    """Obtain a model, verify its hashes, write its ONNX file; nothing is done where it is already there."""
    encoder = _encoder(context, model)
    with progress_lines() as report:
        directory = fetch_model(encoder.model, model_directory(encoder), source=source, report=report)
    typer.echo(str(directory))


@app.command()
def verify(context: typer.Context, model: Model = None) -> None:
    """Check a fetched model's files, and that it still gives the vectors it should; exit code 1 if not."""
    directory = model_directory(_encoder(context, model))
    problems = problems_of(directory)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{directory} is as it should be", err=True)


def _encoder(context: typer.Context, model: str | None) -> EncoderSettings:
    encoder = settings_for(context, {"encoder.model": model}).encoder
    if encoder.model == HASHED and encoder.model_dir is None:
        raise BadConfiguration("encoder.model", f"{HASHED!r} is built in: there is nothing to fetch or verify")
    return encoder
