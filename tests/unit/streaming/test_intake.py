"""More is asked for once what was fetched has been handled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from harness.still import Clock

from stream_engine.streaming.chunks import Record
from stream_engine.streaming.intake import Intake
from stream_engine.streaming.publisher import Outgoing


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def intake(clock: Clock) -> Intake:
    return Intake(clock, longest=0.03)


def test_it_is_open_until_something_is_fetched(intake: Intake) -> None:
    assert intake.opening() is None
    intake.open()
    assert intake.opening() is None


async def test_who_waits_for_it_is_told_once_all_is_handled(intake: Intake) -> None:
    intake.close()
    opening = intake.opening()
    assert opening is intake.opening()
    assert opening is not None
    assert not opening.done()
    intake.open()
    await opening
    assert intake.opening() is None


async def test_it_opens_by_itself_before_others_have_waited_long(intake: Intake, clock: Clock) -> None:
    intake.close()
    clock.now += 0.02
    intake.close()  # once more: it has been closed for as long
    assert intake.opening() is not None
    clock.now += 0.011
    assert intake.opening() is None


async def test_whoever_gave_up_waiting_is_not_told(intake: Intake) -> None:
    intake.close()
    opening = intake.opening()
    assert opening is not None
    opening.cancel()
    intake.open()
    assert intake.opening() is None


async def test_a_handler_opens_it_whether_it_has_done_or_failed(intake: Intake) -> None:
    closed: list[bool] = []

    async def handle(records: Sequence[Record]) -> list[Outgoing]:
        await asyncio.sleep(0)
        closed.append(intake.opening() is not None)
        return [Outgoing("out", None, b"%d" % (1 // len(records)))]

    handled = intake.opened_by(handle)
    intake.close()
    with pytest.raises(ZeroDivisionError):
        await handled([])
    assert intake.opening() is None
    intake.close()
    assert await handled([object()]) == [Outgoing("out", None, b"1")]  # type: ignore[list-item]
    assert intake.opening() is None
    assert closed == [True, True]
