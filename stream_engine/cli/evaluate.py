"""`stream-engine evaluate`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from stream_engine.cli.options import DataDir, settings_for
from stream_engine.encoder.load import open_encoder
from stream_engine.evaluate import Log, read_log
from stream_engine.evaluate import run as evaluated
from stream_engine.evaluate.report import report_of
from stream_engine.evaluate.run import SAMPLE, Evaluation
from stream_engine.evaluate.run import Progress as Report
from stream_engine.evaluate.table import table_of
from stream_engine.evaluate.tally import curves
from stream_engine.settings import Settings

Items = Annotated[Path, typer.Argument(metavar="ITEMS", help="The catalogue: JSON lines, plain or gzipped.")]
Events = Annotated[Path, typer.Argument(metavar="EVENTS", help="What users did: JSON lines, plain or gzipped.")]
Sample = Annotated[int, typer.Option(metavar="N", min=1, help="Random clicks of the last fifth that are foretold.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Picks the sample.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="F", help="Write the figures there; - is stdout.")]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="F", help="Write an HTML report there.")]
Model = Annotated[str | None, typer.Option(metavar="ID", help="The model; `hashed` needs none and is quick.")]
STDOUT = Path("-")


def evaluate(
    context: typer.Context,
    items: Items,
    events: Events,
    *,
    sample: Sample = SAMPLE,
    seed: Seed = 0,
    json_file: JsonFile = None,
    report: ReportFile = None,
    encoder: Model = None,
    data_dir: DataDir = None,
) -> None:
    """Replay a log through the engine: foretell some of the clicks, then learn each; beside simple baselines.

    Figures are over a random sample of the last fifth of the log, the whole catalogue ranked.
    """
    settings = settings_for(context, {"encoder.model": encoder, "stream.data_dir": data_dir})
    evaluation = _evaluated(read_log(items, events), settings, sample, seed)
    if json_file == STDOUT:
        typer.echo(json.dumps(evaluation.result, indent=1))
    elif json_file is not None:
        json_file.write_text(json.dumps(evaluation.result, indent=1) + "\n")
    if report is not None:
        drawn = curves(evaluation.tally, length=evaluation.length)
        report.write_text(report_of(evaluation.result, drawn, title=f"{events.name} through stream-engine"))
    if json_file != STDOUT:
        Console().print(table_of(evaluation.result))


def _evaluated(log: Log, settings: Settings, sample: int, seed: int) -> Evaluation:
    settings.stream.data_dir.mkdir(parents=True, exist_ok=True)
    encoder = open_encoder(settings.encoder, settings.stream.data_dir)

    async def whole() -> Evaluation:
        try:
            with _progress() as report:
                return await evaluated(log, settings, encoder, sample=sample, seed=seed, progress=report)
        finally:
            await encoder.close()

    return asyncio.run(whole())


@contextmanager
def _progress() -> Iterator[Report]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, object] = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done)  # type: ignore[arg-type]

        yield report
