"""A worker whose fetch can be stopped while all else of it goes on: put `empty` or `hang` into its file `stop`.

The file is in the data folder; `stopped` appears beside it when the fetch stands. Both are removed at the start: the
fault does not outlive the process.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread as FetchThread

from stream_engine.settings import load
from stream_engine.streaming import watching
from stream_engine.streaming.worker import run_worker


def stoppable(fetch_records: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """`fetch_records` that brings nothing, or never returns, once the file says so."""
    stop, stopped = folder / "stop", folder / "stopped"
    stop.unlink(missing_ok=True)
    stopped.unlink(missing_ok=True)

    async def fetched(*given: Any, timeout: float, **named: Any) -> Any:  # noqa: ASYNC109
        fault = stop.read_text() if stop.exists() else ""
        if fault:
            stopped.touch()
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "empty":
            await asyncio.sleep(timeout)
            return {}
        return await fetch_records(*given, timeout=timeout, **named)

    return fetched


if __name__ == "__main__":
    settings = load()
    watching.LOOK_EVERY, watching.LEAST_PATIENCE = 0.5, 4.0  # tests do not have the patience
    FetchThread._fetch_records = stoppable(FetchThread._fetch_records, settings.stream.data_dir)
    sys.exit(run_worker(settings))
