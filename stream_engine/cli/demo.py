"""`stream-engine demo`."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stream_engine.cli.demo_view import conclusion, encoding, live
from stream_engine.cli.options import settings_for
from stream_engine.cli.terminal import Say, progress_lines, stop_on_signals
from stream_engine.local import demo as replaying
from stream_engine.local import demo_plot
from stream_engine.local.demo_data import Replay, complete_journey, from_files
from stream_engine.local.demo_score import summary
from stream_engine.local.stack import Stack, owned, running, with_values
from stream_engine.settings import Settings

Items = Annotated[Path | None, typer.Option(metavar="F", help="A catalogue of your own, JSON lines (.gz too).")]
Events = Annotated[Path | None, typer.Option(metavar="F", help="Interactions of your own, JSON lines (.gz too).")]
Rate = Annotated[float, typer.Option(min=0.1, metavar="N", help="Interactions per second.")]
Seconds = Annotated[float, typer.Option(min=1, metavar="N", help="How long to replay.")]
Json = Annotated[Path, typer.Option("--json", metavar="F", help="Where the summary goes; the picture lies beside it.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave all of it running afterwards, until Ctrl-C.")]
WORKERS = 2


def demo(
    context: typer.Context,
    *,
    items: Items = None,
    events: Events = None,
    rate: Rate = 60.0,
    seconds: Seconds = 75.0,
    json_file: Json = Path("demo.json"),
    keep: Keep = False,
) -> None:
    """Start everything with two workers, publish a real catalogue, replay real purchases, and measure what comes back.

    Exit code 0 only if every user who clicked has a list that reflects all their clicks, and nothing was refused.
    """
    if items and not events:
        raise typer.BadParameter("--items needs --events")
    settings, pace = demo_settings(settings_for(context)), replaying.Pace(rate, seconds)
    stop_on_signals()
    console = Console(stderr=True, highlight=False)
    fine = False
    try:
        with progress_lines(console) as report:
            report("reading the catalogue and its events")
            replay = from_files(items, events, pace.count) if events else complete_journey(pace.count)
            start_afresh(settings.stream.data_dir)
            with running(settings, report=report) as stack:
                report(None)
                fine = perform(stack, replay, pace, console, json_file)
                if keep:
                    keep_running(stack, report)
    except KeyboardInterrupt:
        console.print("stopped")
    raise typer.Exit(0 if fine else 1)


def demo_settings(settings: Settings) -> Settings:
    """Two workers unless more are asked for, a data folder of the demo's own, and users of years ago who may stay."""
    return with_values(
        settings,
        {
            "local": {"workers": max(WORKERS, settings.local.workers)},
            "stream": {"data_dir": settings.stream.data_dir / "demo"},
            "users": {"expire_after": 0.0},
        },
    )


def start_afresh(folder: Path) -> None:
    """Remove what an earlier demo left, for users start at nought; BadConfiguration while one runs."""
    with owned(folder):
        for old in folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)


def perform(stack: Stack, replay: Replay, pace: replaying.Pace, console: Console, json_file: Path) -> bool:
    """Publish, replay, sum up; whether all is as it should be."""
    settings = stack.settings
    console.print(f"{replay.name}; broker at {stack.broker.bootstrap}")
    with encoding(console) as progress:
        replaying.publish(settings, replay, progress)
    titles = {item.item_id: item.title for item in replay.items}
    with live(console, titles, pace.seconds) as tick:
        score, start, took = replaying.run(stack, replay, pace, tick)
    refused = len(replaying.dead_letters(settings))
    result = summary(
        score,
        seconds=took,
        dead_letters=refused,
        broker=f"Apache Kafka at {stack.broker.bootstrap}",
        index=settings.index.location,
        model=next((shown.model.encoder for shown in score.lists.values()), settings.encoder.model),
    )
    json_file.write_text(json.dumps(result, indent=2) + "\n")
    picture = json_file.with_suffix(".png")
    drawn = demo_plot.save(score, start, picture)
    conclusion(console, score, titles, result)
    console.print(f"written: {json_file}{f', {picture}' if drawn else ' (no picture: matplotlib is not installed)'}")
    return not score.unreflected() and refused == 0


def keep_running(stack: Stack, report: Say) -> None:
    """Hold on until interrupted."""
    typer.echo(f"ready: broker at {stack.broker.bootstrap}; Ctrl-C stops all of it")
    while True:
        stack.tend(report)
        time.sleep(0.5)
