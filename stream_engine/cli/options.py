"""Flags that several commands share, and the settings they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stream_engine.local.stack import find_bootstrap, with_values
from stream_engine.settings import Settings, load

Broker = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Kafka; without it, that of the `up` running on the data folder."),
]
Group = Annotated[str | None, typer.Option(help="Consumer group, and prefix of the internal topics.")]
Index = Annotated[str | None, typer.Option(metavar="edge|memory|URL", help="Where vectors are searched.")]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Where everything local is kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def settings_for(context: typer.Context, flags: dict[str, Any] | None = None) -> Settings:
    """Flags over environment over file; BadConfiguration names what is wrong."""
    return load(flags, context.obj)


def client_settings(context: typer.Context, flags: dict[str, Any] | None = None) -> Settings:
    """The same, for a command that talks to a broker: one that nobody named is that of a running `up`."""
    settings = settings_for(context, flags)
    if "broker" in settings.kafka.model_fields_set:
        return settings
    found = find_bootstrap(settings.stream.data_dir)
    return with_values(settings, {"kafka": {"broker": found}}) if found else settings
