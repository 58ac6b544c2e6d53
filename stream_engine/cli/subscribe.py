"""`stream-engine subscribe`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from kafka.consumer.fetcher import ConsumerRecord

from stream_engine.cli.options import Broker, DataDir, client_settings
from stream_engine.cli.terminal import stop_on_signals
from stream_engine.streaming.reading import follow

User = Annotated[str | None, typer.Option(metavar="ID", help="Only this user's lists.")]
FromBeginning = Annotated[bool, typer.Option("--from-beginning", help="The lists already there first.")]
Count = Annotated[int | None, typer.Option(min=1, metavar="N", help="Leave after N lists.")]


def subscribe(
    context: typer.Context,
    *,
    user: User = None,
    from_beginning: FromBeginning = False,
    count: Count = None,
    broker: Broker = None,
    data_dir: DataDir = None,
) -> None:
    """Print recommendations as they come, a JSON line each, until Ctrl-C."""
    settings = client_settings(context, {"kafka.broker": broker, "stream.data_dir": data_dir})
    wanted = None if user is None else user.encode()
    stop_on_signals()
    shown = 0
    try:
        for record in follow(settings.kafka, settings.topics.recommendations, from_beginning=from_beginning):
            if record is not None and (wanted is None or record.key == wanted):
                print(line(record), flush=True)  # noqa: T201 - this is what it is for
                shown += 1
                if shown == count:
                    return
    except KeyboardInterrupt:
        return


def line(record: ConsumerRecord) -> str:
    """The list as it was published; of an erased user `{"user_id": .., "erase": true}`."""
    if record.value is None:
        return msgspec.json.encode({"user_id": (record.key or b"").decode(errors="replace"), "erase": True}).decode()
    return str(record.value.decode(errors="replace"))
