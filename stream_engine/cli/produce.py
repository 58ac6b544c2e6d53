"""`stream-engine produce`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stream_engine.cli.lines import Kind, header, outgoing
from stream_engine.cli.options import Broker, DataDir, client_settings
from stream_engine.codec.body import Headers
from stream_engine.streaming.sending import Sender, sender

What = Annotated[Kind, typer.Argument(help="Which topic: clicks, items or users.", show_default=False)]
Source = Annotated[str, typer.Argument(metavar="[F|-]", help="A file of JSON lines; - is standard input.")]
HeaderOption = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="A header for every record; may be repeated.")
]
WARNED = 5


def produce(
    context: typer.Context,
    what: What,
    source: Source = "-",
    headers: HeaderOption = None,
    broker: Broker = None,
    data_dir: DataDir = None,
) -> None:
    """Send JSON lines: `{"user_id": "u", "item_id": "i"}` to clicks, `{"item_id": "i", "title": ".."}` to items.

    Lines are sent as they are, keyed by user or item. `{"item_id": "i", "deleted": true}` takes an item out,
    `{"user_id": "u", "erase": true}` forgets a user.
    """
    settings = client_settings(context, {"kafka.broker": broker, "stream.data_dir": data_dir})
    try:
        added = [header(text) for text in headers or []]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--header") from error
    topic = getattr(settings.topics, what)
    with _opened(source) as (lines, size), sender(settings.kafka) as sending, _progress(size) as advance:
        unkeyed = _send_all(sending, topic, what, lines, added, advance)
    for failure in sending.failures:
        typer.echo(failure, err=True)
    note = f" ({unkeyed} without a key)" if unkeyed else ""
    typer.echo(f"{sending.sent} records to {topic}{note}, {sending.failed} failed", err=True)
    if sending.failed:
        raise typer.Exit(1)


def _send_all(
    sending: Sender, topic: str, kind: Kind, lines: Iterator[bytes], headers: Headers, advance: Advance
) -> int:
    unkeyed = 0
    for number, line in enumerate(lines, 1):
        advance(len(line))
        text = line.rstrip(b"\r\n")
        if not text.strip():
            continue
        record, warning = outgoing(kind, text, headers)
        if warning:
            unkeyed += 1
            if unkeyed <= WARNED:
                typer.echo(f"line {number} {warning}", err=True)
        sending.send(topic, record, name=f"line {number}")
    return unkeyed


class Advance:
    """Moves the progress bar by so many bytes."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("sending", total=total, records=0)
        self._records = 0

    def __call__(self, size: int) -> None:
        """One more record of `size` bytes."""
        self._records += 1
        self._progress.update(self._task, advance=size, records=self._records)


@contextmanager
def _progress(size: int | None) -> Iterator[Advance]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[records]} records"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Advance(bar, size)


@contextmanager
def _opened(source: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if source == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(source)
    try:
        file = path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{source}: {error.strerror}", param_hint="F") from error
    with file:
        yield file, path.stat().st_size
