"""`make test-faults ARGS="--minutes 15"`: hurt workers under load; exit 1 unless nothing is lost or doubled."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from os import getloadavg
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # where pytest has it from, too: see pyproject.toml

from harness.outages import AIMS, Outage, measure  # noqa: E402
from harness.scenario import ZERO, Outcome, Plan, run  # noqa: E402

from stream_engine.local.broker import start_broker  # noqa: E402
from stream_engine.settings import (  # noqa: E402
    EncoderSettings,
    IndexSettings,
    KafkaSettings,
    Settings,
    StreamSettings,
    TopicSettings,
)
from stream_engine.streaming.admin import create_or_verify  # noqa: E402

CACHE = HERE.parents[1] / ".cache"
COUNTS = ("clicks", "applied", *ZERO, "repeated")
TIMES = ("longest gap s", "longest wait s", "median wait ms")


def main() -> int:
    """Run the scenarios one after the other and show what came of them."""
    options = parsed()
    console = Console(width=None if sys.stdout.isatty() else 220, highlight=False)
    each = 60 * options.minutes / len(options.workers)
    console.print(f"{each:.0f} s of {options.rate:g} clicks/s with each of {options.workers} workers")
    tell = partial(say, console, time.monotonic())
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with start_broker(folder / "broker", cache_dir=CACHE) as broker:
        numbers = range(len(options.workers) if each else 0)
        outcomes = [scenario(folder, broker.bootstrap, number, each, options, tell) for number in numbers]
        if outcomes:
            console.print(table(outcomes))
        if options.rounds:
            tell("workers come and go one at a time")
            console.print(outages_table(outages(folder, broker.bootstrap, options)))
    wrong = any(outcome.wrong for outcome in outcomes)
    if wrong or options.keep:
        console.print(f"logs: {folder}")
    else:
        shutil.rmtree(folder)
    return int(wrong)


def say(console: Console, began: float, what: str) -> None:
    """A line with the time since the beginning in front."""
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    console.print(f"{minutes:3}:{seconds:02}  {what}")


def scenario(
    folder: Path,
    bootstrap: str,
    number: int,
    seconds: float,
    options: argparse.Namespace,
    tell: Callable[[str], None],
) -> Outcome:
    """One of them, on topics of its own."""
    tell(f"{options.workers[number]} workers")
    settings = settings_for(bootstrap, f"faults-{number}", options.followers)
    create_or_verify(settings)
    plan = Plan(options.workers[number], seconds, options.rate, every=options.every, seed=options.seed + number)
    outcome = run(folder / f"scenario-{number}", settings, plan, tell)
    tell(f"wrong: {outcome.wrong}" if outcome.wrong else "nothing lost, nothing doubled")
    return outcome


def outages(folder: Path, bootstrap: str, options: argparse.Namespace) -> list[Outage]:
    """Workers come and go one at a time."""
    settings = settings_for(bootstrap, "outages", options.followers)
    create_or_verify(settings)
    workers = max(2, *options.workers)
    return measure(folder / "outages", settings, workers=workers, rounds=options.rounds, rate=options.calm_rate)


def parsed() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="of traffic in all; default 3")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3], help="one scenario each; default 1 2 3")
    parser.add_argument("--rate", type=float, default=100.0, help="clicks per second, at most; default 100")
    parser.add_argument("--every", type=float, default=12.0, help="seconds between faults, on average; default 12")
    parser.add_argument("--rounds", type=int, default=2, help="of each event whose time without service is told")
    parser.add_argument("--calm-rate", type=float, default=30.0, help="clicks per second meanwhile; default 30")
    parser.add_argument("--followers", type=int, default=1, help="standby replicas of each partition; default 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    return parser.parse_args()


def settings_for(bootstrap: str, name: str, followers: int) -> Settings:
    """A group and topics of their own; a small encoder and index, for it is the loop that is tested."""
    names = {field: f"{name}.{default.default}" for field, default in TopicSettings.model_fields.items()}
    return Settings(
        kafka=KafkaSettings(broker=bootstrap, group=name),
        topics=TopicSettings(**names),
        encoder=EncoderSettings(model="hashed"),
        index=IndexSettings(location="memory"),
        stream=StreamSettings(standby_replicas=followers),
    )


def table(outcomes: list[Outcome]) -> Table:
    """One row a scenario; zeros where zeros belong."""
    made = Table("workers", "faults", "left with", *(name.replace("_", " ") for name in COUNTS), *TIMES, title="faults")
    for outcome in outcomes:
        made.add_row(
            str(outcome.plan.workers),
            " ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items())),
            " ".join(f"{code}:{count}" for code, count in sorted(outcome.codes.items())),
            *(str(getattr(outcome, name)) for name in COUNTS),
            f"{outcome.longest_gap:.1f}",
            f"{outcome.longest_wait:.1f}",
            f"{1000 * outcome.p50:.0f}",
            style="red" if outcome.wrong else "",
        )
    return made


def outages_table(found: list[Outage]) -> Table:
    """One row a kind of event, against what it aims at."""
    title = f"time without service, at a load of {getloadavg()[0]:.1f}"
    made = Table("worker", "times", "median s", "longest s", "aim s", title=title)
    for kind, aim in AIMS.items():
        seconds = [outage.seconds for outage in found if outage.kind == kind]
        cells = (f"{value:.1f}" for value in (median(seconds), max(seconds), aim))
        made.add_row(kind, str(len(seconds)), *cells, style="yellow" if max(seconds) > aim else "")
    return made


if __name__ == "__main__":
    sys.exit(main())
