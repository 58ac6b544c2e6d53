from __future__ import annotations

import asyncio
import logging

import pytest

from stream_engine.errors import Unavailable
from stream_engine.streaming.rounds import rounds

LOG = logging.getLogger(__name__)


async def test_what_is_away_is_said_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    times = 0

    async def step() -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise Unavailable("broker", "told to be away")

    task = asyncio.create_task(rounds(step, every=0.001, log=LOG, undone="not done", topic="t"))
    async with asyncio.timeout(5):
        while times < 3:  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.001)
    task.cancel()
    (said,) = caplog.records
    assert (said.getMessage(), said.topic, said.reason) == ("not done", "t", "told to be away")


async def test_what_is_wrong_ends_it() -> None:
    async def step() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await rounds(step, every=0.0, log=LOG, undone="not done")
