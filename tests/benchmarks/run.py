"""Everything `make bench` measures; prints the figures, saves `bench.json`, and pictures beside it in `build/`.

.venv/bin/python tests/benchmarks/run.py [--full] [--only open_loop peers ...]        (make bench, ARGS="--full")
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from drain import PEER, compare
from figures import figures
from machine import machine
from openloop import BENCH_PYTHON, Stand, highest, in_time, standing
from pictures import latency_by_percentile, latency_by_rate
from scale import growth

from stream_engine.local.broker import Broker, start_broker

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
AT = 1_000  # clicks a second at which latency is looked at
BEFORE = 60, 60.0  # clicks a second and seconds: users come to have a history, the ranker thins out its lessons
REST = 60, 20.0  # the same after rates that were too much: what those clicks said is still being counted
SLOWEST = 125.0  # clicks a second; where the search for the highest rate begins
SIZES = (10_000, 100_000, 1_000_000)
EXPORT_PYTHON = ROOT / ".venv-export" / "bin" / "python"


def main() -> None:
    """Measure, print, save."""
    given = _given()
    report: dict[str, Any] = {"machine": machine(), "took_seconds": {}}
    with (
        tempfile.TemporaryDirectory() as scratch,
        start_broker(Path(scratch), cache_dir=ROOT / ".cache", lasting=True) as broker,
    ):
        folder = Path(scratch) / "stands"
        folder.mkdir()
        parts: dict[str, Callable[[], Any]] = {
            "open_loop": lambda: open_loop(broker, folder, given),
            "peers": lambda: peers(broker, folder, given),
            "growth": lambda: growth(broker, folder, full=given.full),
            "search": lambda: search(full=given.full),
            "encode": lambda: encode(Path(scratch) / "encode.json"),
        }
        for name in given.only or [name for name in parts if given.full or name != "growth"]:
            began = time.monotonic()
            say(name)
            report[name] = parts[name]()
            report["took_seconds"][name] = round(time.monotonic() - began)
            _save(report, given.json)
    print(json.dumps(report["figures"], indent=2))  # noqa: T201


def _given() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help="all sizes, two workers, growth; an hour or so")
    options.add_argument("--only", nargs="+", choices=["open_loop", "peers", "growth", "search", "encode"])
    options.add_argument("--items", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=6.0, help="of each step")
    options.add_argument("--rounds", type=int, default=3, help="of the peers")
    options.add_argument("--clicks", type=int, default=1_500, help="each peer drains in a round")
    options.add_argument("--json", type=Path, default=ROOT / "bench.json")
    given = options.parse_args()
    if not BENCH_PYTHON.exists():
        options.error("`make bench-env` first: the load generator and two peers live in .venv-bench")
    return given


def open_loop(broker: Broker, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One worker at the fixed rate and at the highest; in full also larger catalogues, two workers, exact search."""
    found = {"1 worker": _stand(broker, folder, given, items=given.items)}
    found["1 worker"]["inside"] = inside(broker, folder, given)
    if given.full:
        found["2 workers"] = _stand(broker, folder, given, items=given.items, workers=2)
        found["index in memory"] = _stand(broker, folder, given, items=given.items, index="memory")
        for items in SIZES[1:]:
            found[f"{items} items"] = _stand(broker, folder, given, items=items)
    return found


def _stand(broker: Broker, folder: Path, given: argparse.Namespace, **options: Any) -> dict[str, Any]:
    say(f"{options}")
    began = time.monotonic()
    with standing(broker, folder, **options) as stand:
        ready = time.monotonic() - began
        stand.step(*BEFORE)
        best = highest(lambda rate: _tried(stand, rate, given.seconds), SLOWEST)
        stand.step(*REST)
        at = stand.step(AT, 2 * given.seconds)  # last: the users have histories by now
    if options == {"items": given.items}:
        latency_by_rate(stand.steps, ROOT / "build" / "bench-latency-by-rate.svg")
        latency_by_percentile(at, ROOT / "build" / "bench-latency-by-percentile.svg")
    return {"seconds_until_ready": round(ready, 1), "at": at, "best": best, "steps": stand.steps}


def _tried(stand: Stand, rate: float, seconds: float) -> dict[str, Any]:
    """A step at this rate, after a rest if the one before was too much: it is not charged for what that left behind."""
    if not in_time(stand.steps[-1]):
        stand.step(*REST)
    return stand.step(rate, seconds)


def inside(broker: Broker, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Where the time goes within a worker, by a clock around its parts, which costs a little itself."""
    timed = [sys.executable, str(HERE / "timed_worker.py")]
    with standing(broker, folder, items=given.items, command=timed) as stand:
        stand.step(*BEFORE)
        stand.step(AT, given.seconds)
        file = stand.workers[0].folder / "timings.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def peers(broker: Broker, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Each drains the same clicks."""
    return compare(
        broker,
        folder,
        names=PEER,
        rounds=given.rounds,
        items=given.items,
        engine=given.clicks,
        empty=10 * given.clicks,
    )


def search(*, full: bool) -> dict[str, Any]:
    """CPU of one search, by size; a million items in Qdrant Edge only in full."""
    command = [sys.executable, str(HERE / "search.py"), *map(str, SIZES), *(["--large"] if full else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def encode(file: Path) -> dict[str, Any] | None:
    """Texts a second beside others, where `make export-env` was run: it needs torch."""
    if not EXPORT_PYTHON.exists():
        return None
    subprocess.run([EXPORT_PYTHON, HERE / "encode.py", "--json", file], check=True, cwd=ROOT, stdout=sys.stderr)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _save(report: dict[str, Any], file: Path) -> None:
    report["figures"] = figures(report)
    file.write_text(json.dumps(report["figures"] | {"machine": report["machine"], "report": report}, indent=2))


def say(what: str) -> None:
    """Tell what is going on."""
    print(what, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
