"""`stream-engine worker`."""

from __future__ import annotations

import typer

from stream_engine.cli.options import Broker, DataDir, Group, Index, settings_for
from stream_engine.streaming.admin import create_or_verify


def worker(
    context: typer.Context, broker: Broker = None, index: Index = None, group: Group = None, data_dir: DataDir = None
) -> None:
    """Run one replica against any Kafka and any Qdrant; start as many as there are partitions."""
    flags = {"kafka.broker": broker, "index.location": index, "kafka.group": group, "stream.data_dir": data_dir}
    settings = settings_for(context, flags)
    from stream_engine.streaming.worker import run_worker  # noqa: PLC0415 - Faust takes a second to import

    create_or_verify(settings)
    raise typer.Exit(run_worker(settings))
