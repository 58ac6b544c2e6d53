"""`stream-engine evaluate`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

from stream_engine.cli.options import Broker, DataDir, client_settings
from stream_engine.encoder.load import open_encoder
from stream_engine.evaluate import Log, ablated, log_on_topics, read_log
from stream_engine.evaluate import run as evaluated
from stream_engine.evaluate.report import learning_curves, report_of
from stream_engine.evaluate.run import SAMPLE, Evaluation
from stream_engine.evaluate.run import Progress as Report
from stream_engine.evaluate.table import parts_table, table_of
from stream_engine.evaluate.tally import Figures, curves
from stream_engine.settings import Settings

Items = Annotated[
    Path | None, typer.Argument(metavar="ITEMS", help="The catalogue: JSON lines, .gz too.", show_default=False)
]
Events = Annotated[
    Path | None, typer.Argument(metavar="EVENTS", help="What users did: JSON lines, .gz too.", show_default=False)
]
Sample = Annotated[int, typer.Option(metavar="N", min=1, help="Random clicks of the last fifth that are foretold.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Picks the sample.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="F", help="Write the figures there; - is stdout.")]
ReportFile = Annotated[
    Path | None, typer.Option(metavar="F", help="Write an HTML report there; F.svg: its learning curves alone.")
]
Ablate = Annotated[bool, typer.Option("--ablate", help="Again without each part in turn: 13 times as long.")]
FromKafka = Annotated[bool, typer.Option("--from-kafka", help="Read the topics instead of files.")]
Model = Annotated[str | None, typer.Option(metavar="ID", help="The model; `hashed` needs none and is quick.")]
STDOUT = Path("-")


def evaluate(
    context: typer.Context,
    items: Items = None,
    events: Events = None,
    *,
    sample: Sample = SAMPLE,
    seed: Seed = 0,
    json_file: JsonFile = None,
    report: ReportFile = None,
    ablate: Ablate = False,
    from_kafka: FromKafka = False,
    encoder: Model = None,
    broker: Broker = None,
    data_dir: DataDir = None,
) -> None:
    """Replay a log through the engine: foretell some of its clicks, learn every one; beside what it has to beat.

    The figures are over random clicks of the last fifth of the log, with the whole catalogue to choose from.
    """
    flags = {"encoder.model": encoder, "stream.data_dir": data_dir, "kafka.broker": broker}
    settings = client_settings(context, flags)
    log, name = _log(items, events, settings, from_kafka=from_kafka)
    evaluation, parts = _run(log, settings, sample, seed, ablate=ablate)
    if report is not None:
        report.write_text(_report(report, name, evaluation, parts))
    text = json.dumps(evaluation.result | ({"ablation": parts} if parts else {}), indent=1)
    if json_file == STDOUT:
        typer.echo(text)
        return
    if json_file is not None:
        json_file.write_text(text + "\n")
    console = Console()
    console.print(table_of(evaluation.result))
    if parts:
        console.print(parts_table(evaluation.result, parts))


def _report(path: Path, name: str, evaluation: Evaluation, parts: Mapping[str, Figures]) -> str:
    drawn = curves(evaluation.tally, length=evaluation.length)
    if path.suffix == ".svg":
        return learning_curves(drawn)
    return report_of(evaluation.result, drawn, title=f"{name} through stream-engine", parts=parts)


def _log(items: Path | None, events: Path | None, settings: Settings, *, from_kafka: bool) -> tuple[Log, str]:
    """The log, and what to call it."""
    if from_kafka:
        if items or events:
            raise typer.BadParameter("--from-kafka goes without ITEMS and EVENTS")
        log, unreadable = log_on_topics(settings)
        if unreadable:
            typer.echo(f"{unreadable} records could not be read", err=True)
        return log, f"{settings.topics.clicks} on {settings.kafka.broker}"
    if not items or not events:
        raise typer.BadParameter("ITEMS and EVENTS are needed, or --from-kafka")
    return read_log(items, events), events.name


def _run(
    log: Log, settings: Settings, sample: int, seed: int, *, ablate: bool
) -> tuple[Evaluation, Mapping[str, Figures]]:
    settings.stream.data_dir.mkdir(0o700, parents=True, exist_ok=True)
    encoder = open_encoder(settings.encoder, settings.stream.data_dir)

    async def whole(report: Report) -> tuple[Evaluation, Mapping[str, Figures]]:
        try:
            evaluation = await evaluated(log, settings, encoder, sample=sample, seed=seed, progress=report)
            if not ablate:
                return evaluation, {}
            return evaluation, await ablated(log, settings, encoder, sample=sample, seed=seed, progress=report)
        finally:
            await encoder.close()

    with _progress() as report, threadpool_limits(1, user_api="blas"):  # as a worker does
        return asyncio.run(whole(report))


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar for each thing that is done, on standard error; a line every tenth where there is no terminal."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done)

        yield report


def _lines(console: Console) -> Report:
    told: dict[str, int] = {}

    def report(what: str, done: int, of: int) -> None:
        tenth = 10 * done // max(of, 1)
        if tenth > told.get(what, 0):
            told[what] = tenth
            console.print(f"{what}: {done} of {of}")

    return report
