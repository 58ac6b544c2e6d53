"""`stream-engine ranker show`."""

from __future__ import annotations

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream_engine.cli.options import AsJson, Broker, DataDir, Group, client_settings
from stream_engine.ranking.ranker import Ranker
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import ranker_topic

app = typer.Typer(help="What the workers have learnt about ranking.", no_args_is_help=True)


@app.command()
def show(
    context: typer.Context,
    *,
    as_json: AsJson = False,
    broker: Broker = None,
    group: Group = None,
    data_dir: DataDir = None,
) -> None:
    """Show each feature's linear weight: at the start, in each worker, and in all of them together."""
    settings = client_settings(context, {"kafka.broker": broker, "kafka.group": group, "stream.data_dir": data_dir})
    records = snapshot(settings.kafka, ranker_topic(settings.kafka.group))
    published = {record.key.decode(): record.value for record in records if record.value is not None}
    start, merged = Ranker(), Ranker()
    merged.merge(published)
    by_worker = {worker: weights_of(data) for worker, data in sorted(published.items())}
    if as_json:
        shown = {"version": merged.version, "weights": merged.weights, "workers": by_worker, "start": start.weights}
        typer.echo(msgspec.json.encode(shown).decode())
        return
    table = Table("feature", "start", *by_worker, "together", title=merged.version)
    for feature, weight in sorted(merged.weights.items(), key=lambda pair: -abs(pair[1])):
        each = (weights[feature] for weights in by_worker.values())
        table.add_row(feature, *(f"{value:+.3f}" for value in (start.weights[feature], *each, weight)))
    Console().print(table)
    if not published:
        typer.echo("no worker has published what it learnt yet", err=True)


def weights_of(published: bytes) -> dict[str, float]:
    """The linear weights in a worker's snapshot; those of the start where it does not fit this version."""
    ranker = Ranker()
    ranker.merge({"": published})
    return ranker.weights
