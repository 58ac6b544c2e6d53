"""The entry point: commands, and what becomes of their failures. Exit 0 done, 1 failed, 2 wrong use or setting."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stream_engine import __version__
from stream_engine.cli import dead_letters, model, ranker, show, topics
from stream_engine.cli.demo import demo
from stream_engine.cli.doctor import doctor
from stream_engine.cli.evaluate import evaluate
from stream_engine.cli.produce import produce
from stream_engine.cli.settings import schemas, settings
from stream_engine.cli.subscribe import subscribe
from stream_engine.cli.up import up
from stream_engine.cli.worker import worker
from stream_engine.errors import BadConfiguration, StreamEngineError

Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings (TOML); without it, stream-engine.toml in the working directory."),
]

app = typer.Typer(
    name="stream-engine",
    help="Clicks in on one Kafka topic, that user's fresh recommendations out on another.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(context: typer.Context, config: Config = None) -> None:
    """Clicks in on one Kafka topic, that user's fresh recommendations out on another.

    Settings come from flags, then STREAM_ENGINE_... in the environment, then a file; `settings` shows them.
    """
    context.obj = config


for command in (up, worker, demo, produce, subscribe, evaluate, settings, doctor, schemas):
    app.command()(command)
app.add_typer(topics.app, name="topics")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(model.app, name="model")
app.add_typer(show.users, name="users")
app.add_typer(show.items, name="items")
app.add_typer(ranker.app, name="ranker")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main(arguments: list[str]) -> int:
    """Run one command; the exit code. What goes wrong is one clear line, never a traceback."""
    try:
        app(arguments)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BadConfiguration as error:
        return _failed(f"{error.setting}: {error.reason}", 2)
    except StreamEngineError as error:
        return _failed(str(error), 1)
    except BrokenPipeError:  # `stream-engine subscribe | head` has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - a bug of ours, told in one line as well
        return _failed(f"unexpected {type(error).__name__}: {error}; please report it", 1)
    return 0


def _failed(message: str, code: int) -> int:
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED)
    return code


def run() -> None:
    """The `stream-engine` command."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
