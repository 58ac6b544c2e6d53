"""Users on partitions they do not belong on: sent on once, counted once, erased where their state is."""

from __future__ import annotations

from dataclasses import replace

from harness.records import FakeRecord, click, record
from harness.worlds import PARTITIONS, Stages, letters, lists, of

from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.placing import MOVED, Placement

HOME = partition_of(b"u", PARTITIONS)
AWAY = (HOME + 1) % PARTITIONS


class World:
    """Stages that mind partitions, and what they told of it."""

    def __init__(self) -> None:
        self.stages = Stages()
        self.told: list[tuple[str, int]] = []
        placement = Placement(PARTITIONS, lambda *told: self.told.append(told))
        self.clicks = replace(self.stages.clicks, placement=placement)
        self.control = replace(self.stages.control, placement=placement)


def arrived(sent: Outgoing, offset: int) -> FakeRecord:
    return FakeRecord(
        offset, sent.value, sent.key, sent.headers, sent.topic, sent.partition or 0, sent.timestamp_ms or 0
    )


async def test_a_click_that_came_by_the_wrong_partition_is_sent_on_and_answered_there() -> None:
    world = World()
    wrong = replace(click(5, "u", "i0"), partition=AWAY, headers=(("trace", b"1"),))
    (sent,) = await world.clicks.handle([wrong])
    assert (sent.topic, sent.key, sent.value, sent.partition) == ("clicks", b"u", wrong.value, HOME)
    assert sent.timestamp_ms == wrong.timestamp
    assert sent.headers == (("trace", b"1"), (MOVED, f"clicks/{AWAY}/5".encode()))
    assert not world.stages.users.values
    (answer,) = lists(await world.clicks.handle([arrived(sent, 9)]))
    assert (answer.interactions, answer.trigger.event_id) == (1, f"clicks/{AWAY}/5")
    assert list(world.stages.users.values) == [(b"u", HOME)]
    assert world.told == [("clicks", 1)]


async def test_a_click_sent_on_twice_counts_once_and_two_clicks_count_twice() -> None:
    world = World()
    first, second = (replace(click(at, "u", "i0"), partition=AWAY) for at in (5, 6))
    sent = [(await world.clicks.handle([each]))[0] for each in (first, first, second)]
    effects = await world.clicks.handle([arrived(each, 20 + at) for at, each in enumerate(sent)])
    assert [each.interactions for each in lists(effects)] == [2]


async def test_without_a_key_or_with_another_the_user_id_says_where() -> None:
    world = World()
    for key in (None, b"session-7", b"\xff"):
        body = {"user_id": "u", "item_id": "i0"}
        (sent,) = await world.clicks.handle([record(1, body, key=key, partition=AWAY)])
        assert (sent.key, sent.partition) == (b"u", HOME)
        assert lists(await world.clicks.handle([record(1, body, key=key, partition=HOME)]))


async def test_neighbours_stay_and_nonsense_is_refused_where_it_is() -> None:
    world = World()
    effects = await world.clicks.handle(
        [replace(click(1, "u", "i0"), partition=AWAY), replace(record(2, b"{"), partition=AWAY)]
    )
    assert len(letters(effects)) == len(of(effects, "clicks")) == 1


async def test_an_erasure_goes_to_the_state() -> None:
    world = World()
    await world.clicks.handle([replace(click(1, "u", "i0"), partition=HOME)])
    (sent,) = await world.control.handle([FakeRecord(3, None, b"u", (), "users", AWAY)])
    assert (sent.topic, sent.key, sent.value, sent.partition) == ("users", b"u", None, HOME)
    assert world.stages.users.values
    await world.control.handle([arrived(sent, 4)])
    assert (b"u", HOME) not in world.stages.users.values
