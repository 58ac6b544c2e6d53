"""A worker's watch over its own clock: it leaves when that stood still."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming import worker as workers
from stream_engine.streaming.lease import Lease
from stream_engine.streaming.worker import Worker


class Left(Exception):
    """In the place of the process's end."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    def leave(reason: str) -> None:
        raise Left(reason)

    monkeypatch.setattr(workers, "leave", leave)
    return Worker(Settings(kafka=KafkaSettings(session_timeout=1.0)))


async def test_a_clock_that_stood_still_ends_the_process_before_a_write(worker: Worker) -> None:
    worker._may_write()
    worker._lease = Lease(limit=0.5, noted=time.monotonic() - 1.0)
    with pytest.raises(Left, match="lease"):
        worker._may_write()
    with pytest.raises(Left, match="lease"):
        async with asyncio.timeout(10):
            await worker._note_lease()


def test_a_broker_that_is_away_is_said_to_be_missing(worker: Worker) -> None:
    worker._waiting_for = set()
    worker._watch = SimpleNamespace(away=True)  # type: ignore[assignment]
    assert worker._missing() == ["broker"]
