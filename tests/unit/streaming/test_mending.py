"""Late writes are written over: once they are found, by whoever owns the partition, in the turn of its writers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from harness.records import FakeRecord, record

from stream_engine.errors import Unavailable
from stream_engine.streaming.changelogs import Sieve
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.gaps import Gaps
from stream_engine.streaming.mending import Mender
from stream_engine.streaming.owners import OWNER, Token, encode_token
from stream_engine.streaming.publisher import FakePublisher, Outgoing
from stream_engine.streaming.stages import FakeTable

FORMER, OURS, LATER = Token(2, 1), Token(4, 2), Token(5, 3)


class Table(FakeTable):
    """A fake that is covered as told; partition 0 is ours since offset 4."""

    def __init__(self) -> None:
        super().__init__()
        self.sieve = Sieve(lambda state: {"": state[0]})
        self.sieve.owners.note(0, OURS)
        self.gaps = Gaps()
        self.gaps.begin(0, OURS.end)

    @property
    def changelog(self) -> str:
        return "changelog"

    def look(self, record: Record) -> None:
        self.sieve.takes(record, self.read(record.key or b"", record.partition))


class World:
    """An app that owns what it is told, and a log."""

    def __init__(self, *records: FakeRecord) -> None:
        self.table = Table()
        self.publisher = FakePublisher()
        self.turn = asyncio.Lock()
        self.owned = {0}
        self.log = records
        self.reads: list[tuple[int, int, int]] = []
        self.counted = 0
        self.mender = Mender(
            self.table,
            self,
            self,
            self.publisher,
            turn=self.turn,
            may_write=lambda: None,
            count=self.count,
            shown=self.shown,
        )

    def owns(self, partition: int) -> bool:
        return partition in self.owned

    def ends_of(self, changelog: str) -> Mapping[int, int]:
        assert changelog == "changelog"
        return {0: max((each.offset + 1 for each in self.log), default=0)}

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[FakeRecord]:
        self.reads.append((partition, begin, end))
        return [each for each in self.log if begin <= each.offset < end]

    async def shown(self, key: bytes, value: bytes | None, partition: int) -> Sequence[Outgoing]:
        assert self.turn.locked()
        return [Outgoing("lists", key, value, (), partition)]

    def count(self, records: int) -> None:
        self.counted += records


def written(offset: int, key: str, token: Token = FORMER) -> FakeRecord:
    return record(offset, b"state", headers=[(OWNER, encode_token(token))], key=key.encode())


async def test_what_lies_in_a_gap_is_written_again_as_it_is_or_as_a_tombstone() -> None:
    world = World(written(3, "read"), written(4, "u"), written(5, "gone"))
    world.table.write(b"u", b"newer", 0)
    await world.mender.step()
    said = [(each.topic, each.key, each.value) for each in world.publisher.published]
    assert said == [
        ("changelog", b"u", b"newer"),
        ("lists", b"u", b"newer"),
        ("changelog", b"gone", None),
        ("lists", b"gone", None),
    ]
    assert (world.reads, world.table.gaps.open, world.table.sieve.covered) == ([(0, 4, 6)], [], {})
    assert world.counted == 2
    await world.mender.step()
    assert len(world.reads) == 1


@pytest.mark.parametrize("headers", [[(OWNER, encode_token(LATER))], [(OWNER, b"\x02")], []])
async def test_what_is_not_late_is_left_alone(headers: list[tuple[str, bytes]]) -> None:
    """A later owner's, or that of another version of ours which is as far as we are."""
    world = World(record(5, b"state", headers=headers, key=b"u"))
    world.table.write(b"u", b"state", 0)
    await world.mender.step()
    assert world.publisher.published == []
    assert world.table.gaps.open == []


async def test_what_a_former_version_wrote_is_written_over_where_it_goes_back() -> None:
    world = World(record(5, b"state", key=b"u"))
    world.table.write(b"u", b"tate", 0)
    await world.mender.step()
    assert [each.value for each in world.publisher.published] == [b"tate", b"tate"]


async def test_where_a_log_ends_counts_once_nothing_of_ours_is_on_its_way() -> None:
    world = World()
    async with world.turn:
        stepping = asyncio.create_task(world.mender.step())
        await asyncio.sleep(0)
        world.log = (written(4, "u", OURS),)
        world.table.gaps.note_written(0, 4)
    await stepping
    assert world.reads == []


async def test_what_is_read_again_in_the_meantime_is_no_gap() -> None:
    world = World(written(4, "u"))

    async def read(topic: str, partition: int, begin: int, end: int) -> Sequence[FakeRecord]:
        world.table.gaps.begin(0, 5)
        return world.log

    world.read = read  # type: ignore[method-assign]
    await world.mender.step()
    assert world.table.sieve.covered == {}


async def test_what_is_not_ours_waits_until_it_is() -> None:
    world = World()
    world.table.sieve.covered[b"u"] = 0
    world.owned = set()
    await world.mender.step()
    assert world.publisher.published == []
    world.owned = {0}
    await world.mender.step()
    assert [each.key for each in world.publisher.published] == [b"u", b"u"]


async def test_what_the_broker_did_not_take_is_written_the_next_time() -> None:
    world = World()
    world.publisher.failures = 1
    world.table.sieve.covered[b"u"] = 0
    with pytest.raises(Unavailable):
        await world.mender.step()
    assert world.table.sieve.covered == {b"u": 0}
    await world.mender.step()
    assert [each.topic for each in world.publisher.published] == ["changelog", "lists"]
