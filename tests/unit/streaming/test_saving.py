"""States on a worker's disk: what a start goes on from, in whose turn they are saved, what happens where that fails."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from harness.records import FakeRecord

from stream_engine.errors import NewerVersion, Unavailable
from stream_engine.streaming.admin import Facts
from stream_engine.streaming.owners import Token
from stream_engine.streaming.saving import AT_ONCE, Saving
from stream_engine.streaming.state_files import StateFiles
from stream_engine.streaming.state_store import Saved, StateStore

NOW = 1_700_000_000.0


class Logs:
    """A changelog whose records of the last hours begin and end where it is told."""

    def __init__(self, begin: int = 0, end: int = 100, identity: str = "topic", tombstones: float = 1_000.0) -> None:
        self._bounds = begin, end
        self._facts = Facts(identity, tombstones)

    async def facts(self, topic: str) -> Facts:
        assert topic == "changelog"
        return self._facts

    async def bounds(self, topic: str, partition: int, since_ms: int) -> tuple[int, int]:
        assert (topic, since_ms) == ("changelog", int((NOW - self._facts.tombstones / 2) * 1000))
        return self._bounds


class World:
    """A table and its files, as one process after another finds them."""

    def __init__(self, folder: Path) -> None:
        self.files = StateFiles(folder / "changelog")
        self.turn = asyncio.Lock()
        self.restart()

    def restart(self) -> None:
        self.states = StateStore("changelog", lambda _: {}, version=1, saved=True)
        self.saving = Saving(self.states, self.files, self.turn, clock=lambda: NOW)

    async def begin(self, **logs: object) -> None:
        await self.saving.restore(Logs(**logs))  # type: ignore[arg-type]


@pytest.fixture
async def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    await made.begin()
    return made


def change(world: World, key: bytes, value: bytes | None, offset: int) -> None:
    world.states.apply([FakeRecord(offset, value, key, (), "changelog")])


async def test_a_restart_goes_on_from_what_was_saved(world: World) -> None:
    change(world, b"u", b"\x01one", 7)
    await world.saving.step()
    change(world, b"v", b"\x01not saved", 8)
    world.restart()
    await world.begin()
    assert (world.states.read(b"u", 0), world.states.read(b"v", 0), world.states.applied(0)) == (b"\x01one", None, 7)


@pytest.mark.parametrize(
    ("logs", "used"),
    [
        ({"begin": 8, "end": 8}, True),  # nothing came since
        ({"begin": 8, "end": 20}, True),
        ({"begin": 9, "end": 20}, False),  # what came since may be gone already
        ({"begin": 0, "end": 7}, False),  # cut
        ({"identity": "another"}, False),
        ({"begin": 8, "end": 20, "tombstones": 60.0}, True),
    ],
)
async def test_what_no_log_continues_counts_for_nothing(world: World, logs: dict[str, object], *, used: bool) -> None:
    change(world, b"u", b"\x01one", 7)
    await world.saving.step()
    world.restart()
    await world.begin(**logs)
    assert world.states.applied(0) == (7 if used else None)


async def test_what_a_later_version_wrote_is_refused(world: World) -> None:
    world.files.save(0, Saved({b"u": b"\x02"}, 7, (), anew=True), "topic")
    with pytest.raises(NewerVersion):
        await world.begin()


async def test_it_is_saved_when_no_write_is_on_its_way(world: World) -> None:
    async with world.turn:
        world.states.own(0, Token(0, 1))
        world.states.write(b"u", b"\x01", 0)
        step = asyncio.ensure_future(world.saving.step())
        await asyncio.sleep(0.05)
        assert not world.files.load("topic")
        world.states.note_written(0, 0)
    await step
    assert world.files.load("topic") == {0: Saved({b"u": b"\x01"}, 0, (Token(0, 1),))}


async def test_a_round_saves_a_part_and_a_stop_all(world: World) -> None:
    for at in range(2 * AT_ONCE + 1):
        change(world, b"%d" % at, b"\x01", at)
    await world.saving.step()
    found = world.files.load("topic")[0]
    assert (len(found.values), found.applied) == (AT_ONCE, None)
    await world.saving.finish()
    found = world.files.load("topic")[0]
    assert (len(found.values), found.applied) == (2 * AT_ONCE + 1, 2 * AT_ONCE)


async def test_a_stop_does_not_wait_for_all_of_a_great_deal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for at in range(2 * AT_ONCE):
        change(world, b"%d" % at, b"\x01", at)
    await world.saving.finish(within=0.0)
    assert "states not saved" in caplog.text
    await world.saving.finish()
    assert world.files.load("topic")[0].applied == 2 * AT_ONCE - 1


async def test_what_is_held_no_more_is_removed(world: World) -> None:
    change(world, b"u", b"\x01", 7)
    await world.saving.step()
    world.states.hold(())
    await world.saving.step()
    assert world.files.load("topic") == {}
    change(world, b"v", b"\x01", 9)
    await world.saving.step()
    assert world.files.load("topic") == {0: Saved({b"v": b"\x01"}, 9, ())}


async def test_where_it_fails_all_is_saved_once_it_can_be(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(world, b"u", b"\x01", 7)
    await world.saving.step()
    change(world, b"v", b"\x01", 8)
    with monkeypatch.context() as patch:
        patch.setattr(world.files, "save", _no_room)
        with pytest.raises(Unavailable):
            await world.saving.step()
        await world.saving.finish()
        assert "states not saved" in caplog.text
    await world.saving.step()
    assert world.files.load("topic")[0] == Saved({b"u": b"\x01", b"v": b"\x01"}, 8, ())


def _no_room(*_: object) -> None:
    raise Unavailable("disk", "no room")


def held_up(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """From now on: whether the first save has begun, and that it may go on."""
    begun, go_on, save = threading.Event(), threading.Event(), world.files.save

    def slow_at_first(partition: int, saved: Saved, origin: str) -> None:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(10)
        save(partition, saved, origin)

    monkeypatch.setattr(world.files, "save", slow_at_first)
    return begun, go_on


async def test_a_stop_in_the_midst_of_it_leaves_a_file_that_is_what_it_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = held_up(world, monkeypatch)
    change(world, b"u", b"\x01", 7)
    step = asyncio.ensure_future(world.saving.step())
    await asyncio.to_thread(begun.wait, 10)
    step.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await step
    change(world, b"v", b"\x01", 8)
    await world.saving.finish()
    assert world.files.load("topic") == {0: Saved({b"u": b"\x01", b"v": b"\x01"}, 8, ())}


async def test_a_file_is_written_in_the_order_of_what_is_in_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = held_up(world, monkeypatch)
    change(world, b"u", b"\x01", 7)
    step = asyncio.ensure_future(world.saving.step())
    await asyncio.to_thread(begun.wait, 10)
    change(world, b"u", b"\x01later", 8)
    finish = asyncio.ensure_future(world.saving.finish())
    await asyncio.sleep(0.05)  # it must not have begun by then
    go_on.set()
    await asyncio.gather(step, finish)
    assert world.files.load("topic") == {0: Saved({b"u": b"\x01later"}, 8, ())}


async def test_a_round_is_spread_over_its_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    at: list[float] = []
    monkeypatch.setattr(world.files, "save", lambda *_: at.append(time.monotonic()))
    world.saving = Saving(world.states, world.files, world.turn, spread=0.2, clock=lambda: NOW)
    for partition in range(2):
        world.states.apply([FakeRecord(1, b"\x01", b"u", (), "changelog", partition)])
    await world.saving.step()
    assert at[1] - at[0] >= 0.1
