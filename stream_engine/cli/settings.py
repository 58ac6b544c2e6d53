"""`stream-engine settings` and `stream-engine schemas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stream_engine import schemas as published
from stream_engine.cli.options import AsJson, settings_for
from stream_engine.settings import env_name

Directory = Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write them.")]


def settings(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print every setting in effect, secrets masked, as the TOML that `--config` reads."""
    found = settings_for(context)
    values = found.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    typer.echo(f"# flags > environment ({env_name('group.name')}) > file > these defaults")
    for group, fields in values.items():
        typer.echo(f"\n[{group}]")
        for name, value in fields.items():
            typer.echo(f"# {name} is not set" if value is None else f"{name} = {toml(value)}")


def schemas(context: typer.Context, directory: Directory = Path("deploy")) -> None:
    """Write the JSON Schemas of all formats and the AsyncAPI document."""
    for path in published.write(directory, settings_for(context).topics):
        typer.echo(str(path))


def toml(value: object) -> str:
    """A value as TOML writes it, which is as JSON does but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {toml(part)}" for name, part in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
