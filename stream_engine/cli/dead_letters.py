"""`stream-engine dead-letters list|replay`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer
from kafka.consumer.fetcher import ConsumerRecord

from stream_engine.cli.options import AsJson, Broker, DataDir, client_settings
from stream_engine.codec import decode_dead_letter
from stream_engine.errors import PoisonEvent
from stream_engine.events import DeadLetter
from stream_engine.settings import Settings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.sending import Outgoing, sender

app = typer.Typer(help="Records that could not be processed.", no_args_is_help=True)
SHOWN = 120  # characters of a value

Error = Annotated[str | None, typer.Option(metavar="CLASS", help="Only those with this error class.")]
Place = Annotated[str | None, typer.Option("--at", metavar="PARTITION:OFFSET", help="Only this dead letter.")]
Value = Annotated[Path | None, typer.Option(metavar="FILE", help="With --at: the corrected value to send instead.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


class Letter(NamedTuple):
    """A dead letter and where it lies: PARTITION:OFFSET of the dead-letter topic."""

    at: str
    letter: DeadLetter


@app.command(name="list")
def list_(
    context: typer.Context,
    *,
    error: Error = None,
    as_json: AsJson = False,
    broker: Broker = None,
    data_dir: DataDir = None,
) -> None:
    """Show the dead letters, oldest first in each partition, and why each is one."""
    settings = client_settings(context, {"kafka.broker": broker, "stream.data_dir": data_dir})
    counts: Counter[str] = Counter()
    for found in chosen(settings, error=error):
        counts[found.letter.error] += 1
        typer.echo(msgspec.json.encode(described(found)).decode() if as_json else line(found))
    if not as_json:
        summary = ", ".join(f"{name}: {count}" for name, count in counts.most_common())
        typer.echo(f"{counts.total()} dead letters{f' ({summary})' if summary else ''}", err=True)


@app.command()
def replay(
    context: typer.Context,
    *,
    at: Place = None,
    value: Value = None,
    error: Error = None,
    everything: Everything = False,
    broker: Broker = None,
    data_dir: DataDir = None,
) -> None:
    """Put dead letters back on the topic they came from: one (--at), those of one error class, or --all.

    They stay on the dead-letter topic as well.
    """
    if not (at or error or everything):
        raise typer.BadParameter("say which: --at PARTITION:OFFSET, --error CLASS, or --all")
    if value is not None and at is None:
        raise typer.BadParameter("--value needs --at")
    settings = client_settings(context, {"kafka.broker": broker, "stream.data_dir": data_dir})
    corrected = None if value is None else value.read_bytes().rstrip(b"\r\n")
    found = list(chosen(settings, at=at, error=error))
    with sender(settings.kafka) as sending:
        for each in found:
            letter = each.letter
            body = letter.value if corrected is None else corrected
            sending.send(letter.source.topic, Outgoing(letter.key, body, letter.headers), name=each.at)
    for failure in sending.failures:
        typer.echo(failure, err=True)
    typer.echo(f"{len(found) - sending.failed} put back, {sending.failed} failed", err=True)
    if sending.failed or not found:
        raise typer.Exit(1)


def chosen(settings: Settings, *, at: str | None = None, error: str | None = None) -> Iterator[Letter]:
    """The dead letters of an error class, or the one at a place."""
    for record in snapshot(settings.kafka, settings.topics.dead_letters):
        place = f"{record.partition}:{record.offset}"
        if at in (None, place) and (letter := _decoded(record)) and error in (None, letter.error):
            yield Letter(place, letter)


def described(found: Letter) -> dict[str, object]:
    """One dead letter as JSON."""
    letter = found.letter
    return {
        "at": found.at,
        "topic": letter.source.topic,
        "partition": letter.source.partition,
        "offset": letter.source.offset,
        "stage": letter.stage,
        "error": letter.error,
        "message": letter.message,
        "key": _text(letter.key),
        "value": _text(letter.value),
        "bytes": len(letter.value or b""),
    }


def line(found: Letter) -> str:
    """One dead letter as a line of text."""
    letter, source = found.letter, found.letter.source
    value = (_text(letter.value) or "null")[:SHOWN]
    origin = f"{source.topic}/{source.partition}@{source.offset} key={_text(letter.key)}"
    return f"{found.at}  {letter.stage} {letter.error}: {letter.message}  from {origin}  {value!r}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _decoded(record: ConsumerRecord) -> DeadLetter | None:
    try:
        return decode_dead_letter(record.key, record.value, record.headers)
    except PoisonEvent as error:
        typer.echo(f"{record.partition}:{record.offset}: {error}", err=True)
        return None
