"""A worker with a clock around its parts: `timings.json` in its data folder when it ends, milliseconds a click.

What runs in one go is told in CPU, what awaits in time by the clock. A part that is not there any more is told as null.
"""

from __future__ import annotations

import atexit
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from stream_engine.settings import load
from stream_engine.streaming.worker import run_worker

CLICKS = "stream_engine.streaming.stages.clicks"
PARTS = {
    "whole chunk": (CLICKS, "Clicks.handle"),
    "engine": ("stream_engine.engine", "Engine.on_chunk"),
    "search": ("stream_engine.index.resilient", "ResilientIndex.search"),
    "publish": ("stream_engine.streaming.publisher", "KafkaPublisher.publish"),
    "decode clicks": (CLICKS, "decoded"),
    "read users": (CLICKS, "Clicks._states"),
    "encode users": (CLICKS, "encode_state"),
    "encode lists": (CLICKS, "encode_recommendation"),
    "encode updates": (CLICKS, "encode_updates"),
    "advance users": ("stream_engine.engine", "Engine._advanced"),
    "tastes": ("stream_engine.engine", "tastes_of"),
    "candidates": ("stream_engine.ranking.pipeline", "Pipeline.candidates"),
    "features and ranking": ("stream_engine.ranking.pipeline", "Pipeline.made"),
    "learning": ("stream_engine.engine", "Engine._learn"),
    "updates of items": ("stream_engine.engine", "Engine._updates"),
}
"""Of one click or chunk; `publish` is that of all topics."""


class Clock:
    """Seconds and calls by part."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.clicks = 0
        self.absent: list[str] = []

    def wrap(self, name: str, module: str, path: str) -> None:
        """Put the clock around a function or method."""
        *owners, last = path.split(".")
        holder: Any = import_module(module)
        for owner in owners:
            holder = getattr(holder, owner, None)
        inner = getattr(holder, last, None)
        if inner is None:
            self.absent.append(name)
        else:
            setattr(holder, last, self._around(name, inner))

    def _around(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        if iscoroutinefunction(inner):

            @wraps(inner)
            async def awaited(*given: Any, **named: Any) -> Any:
                began = time.perf_counter()
                try:
                    return await inner(*given, **named)
                finally:
                    self._note(name, time.perf_counter() - began, given)

            return awaited

        @wraps(inner)
        def called(*given: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return inner(*given, **named)
            finally:
                self._note(name, time.thread_time() - began, given)

        return called

    def _note(self, name: str, seconds: float, given: tuple[Any, ...]) -> None:
        self.seconds[name] += seconds
        self.calls[name] += 1
        if name == "whole chunk":
            self.clicks += len(given[1])

    def report(self, file: Path) -> None:
        """Write what was measured."""
        clicks = max(1, self.clicks)
        parts: dict[str, float | None] = {name: round(1000 * total / clicks, 4) for name, total in self.seconds.items()}
        chunks = max(1, self.calls["whole chunk"])
        answer = {
            "clicks": self.clicks,
            "clicks_per_chunk": round(clicks / chunks, 2),
            "ms_a_click": parts | dict.fromkeys(self.absent),
        }
        file.write_text(json.dumps(answer))


if __name__ == "__main__":
    settings, clock = load(), Clock()
    for part, (where, what) in PARTS.items():
        clock.wrap(part, where, what)
    atexit.register(partial(clock.report, settings.stream.data_dir / "timings.json"))
    sys.exit(run_worker(settings))
