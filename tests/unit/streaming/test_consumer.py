"""Our parts of Faust without a broker: what getmany hands over, what a table keeps, what is known of changelogs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from harness.records import FakeRecord, record

from stream_engine.errors import NewerVersion
from stream_engine.settings import Settings, StreamSettings
from stream_engine.streaming.app import make_app, users_table
from stream_engine.streaming.chunk_app import ChunkApp
from stream_engine.streaming.chunks import Chunk
from stream_engine.streaming.consumer import ChunkConsumer
from stream_engine.streaming.owners import OWNER, Token, encode_token, token_of

P, Q, OTHER = TP("clicks", 0), TP("clicks", 1), TP("stream-engine-users-state-changelog", 0)
ITEMS = TP("items", 0)
NOBODYS = TP("stream-engine-users-state-changelog", 1)


async def nothing(*_: object) -> None: ...


@pytest.fixture
async def app(tmp_path: Path) -> ChunkApp:
    return make_app(Settings(stream=StreamSettings(data_dir=tmp_path, chunk=2)), finish=nothing)


class Fetching(ChunkConsumer):
    """A consumer whose fetches and seeks are ours."""

    def prepare(self, batches: dict[TP, list[FakeRecord]]) -> None:
        self.batches = batches
        self.sought: list[dict[TP, int]] = []
        self.polls: list[asyncio.Event] = []  # those after the first wait
        self._set_active_tps({P, Q, ITEMS, OTHER})
        self.positions.start({tuple(tp): 0 for tp in (P, Q, ITEMS)})
        self.positions.open(self.positions.epoch)

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109
        self.polls.append(asyncio.Event())
        if len(self.polls) > 1:
            await self.polls[-1].wait()
        return dict(self.batches), self._active_partitions

    def assignment(self) -> set[TP]:
        return {P, Q, ITEMS, OTHER}

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        self.sought.append(dict(partitions))

    def _to_message(self, tp: TP, record: Any) -> Any:
        return super()._to_message(tp, _Raw(record))


class _Raw:
    """A record with what Faust reads besides."""

    timestamp_type, checksum, serialized_key_size, serialized_value_size = 0, None, 0, 0

    def __init__(self, raw: FakeRecord) -> None:
        self.offset, self.timestamp, self.headers = raw.offset, raw.timestamp, raw.headers
        self.key, self.value, self.topic, self.partition = raw.key, raw.value, raw.topic, raw.partition


@pytest.fixture
async def consumer(app: ChunkApp) -> Fetching:
    callbacks = {"on_partitions_revoked": nothing, "on_partitions_assigned": nothing}
    made = Fetching(app.transport, callback=nothing, **callbacks)
    made.prepare({})
    return made


async def handed_over(consumer: Fetching) -> list[Chunk]:
    """All chunks of the next poll."""
    return [chunk async for _, message in consumer.getmany(1.0) for chunk in message.value]


def records(tp: TP, *offsets: int) -> list[FakeRecord]:
    return [record(offset, b"", topic=tp.topic, partition=tp.partition) for offset in offsets]


async def test_our_topics_come_in_chunks_of_a_changelog_how_far_it_is_applied(
    app: ChunkApp, consumer: Fetching
) -> None:
    users_table(app, Settings())
    app.tables.recovery.add_active(app.tables._changelogs[OTHER.topic], OTHER)
    consumer.prepare({P: records(P, 0, 1, 4), OTHER: records(OTHER, 0, 1), NOBODYS: records(NOBODYS, 0)})
    fetched = [(tp, message) async for tp, message in consumer.getmany(1.0)]
    assert [tp for tp, _ in fetched] == [OTHER, P]
    assert fetched[0][1].offset == app.tables.recovery.active_offsets[OTHER] == 1
    chunks = fetched[1][1].value
    assert [[each.offset for each in chunk.records] for chunk in chunks] == [[0, 1], [4]]
    assert [(chunk.span.after, chunk.span.end) for chunk in chunks] == [(0, 2), (2, 5)]
    assert consumer.sought == []


async def test_what_is_fetched_but_may_not_be_delivered_is_sought_again(consumer: Fetching) -> None:
    consumer.prepare({P: records(P, 0, 1), Q: records(Q, 0, 1, 2)})
    consumer._active_partitions.discard(Q)
    assert [tp async for tp, _ in consumer.getmany(1.0)] == [P]
    assert consumer.sought == [{Q: 0}]


@pytest.mark.parametrize(
    ("fetched", "handed"),
    [
        ([[0, 1, 2], [1, 2, 3]], [[0, 1, 2], [3]]),
        ([[0, 1, 2], [0, 1], [2, 3]], [[0, 1, 2], [0, 1], [2, 3]]),  # the log was cut or made anew
    ],
)
async def test_what_comes_once_more_before_what_is_next_is_not_handed_over_again(
    consumer: Fetching, fetched: list[list[int]], handed: list[list[int]]
) -> None:
    got = []
    for offsets in fetched:
        consumer.batches = {P: records(P, *offsets)}
        chunks = await handed_over(consumer)
        got.append([each.offset for chunk in chunks for each in chunk.records])
        await asyncio.sleep(0)
        consumer.polls[-1].set()
    assert got == handed
    assert consumer.sought == []


async def test_a_partition_that_is_rewound_between_two_chunks_is_sought_and_the_second_is_void(
    consumer: Fetching,
) -> None:
    consumer.prepare({P: records(P, 0, 1, 2, 3)})
    first, second = await handed_over(consumer)
    await consumer.rewind(first)
    assert consumer.sought == [{P: 0}]
    assert consumer.positions.may_fetch(tuple(P))
    assert not consumer.positions.accept(second.span)
    assert not consumer.positions.is_behind_a_loss(second.span)


async def test_what_comes_next_is_waited_for_while_chunks_are_delivered(consumer: Fetching) -> None:
    consumer.prepare({P: records(P, 0, 1)})
    async for _ in consumer.getmany(1.0):
        await asyncio.sleep(0)
        assert len(consumer.polls) == 2
    consumer.batches = {P: records(P, 2, 3)}
    consumer.polls[1].set()
    (chunk,) = await handed_over(consumer)
    assert (chunk.span.after, chunk.span.end) == (2, 4)
    await asyncio.sleep(0)
    assert len(consumer.polls) == 3


async def test_what_a_poll_brought_of_a_topic_is_one_message(consumer: Fetching) -> None:
    consumer.prepare({P: records(P, 0, 1, 2), ITEMS: records(ITEMS, 0), Q: records(Q, 0)})
    messages = [(tp, message.value) async for tp, message in consumer.getmany(1.0)]
    assert [(tp, [TP(*chunk.span.partition) for chunk in chunks]) for tp, chunks in messages] == [
        (P, [P, P, Q]),
        (ITEMS, [ITEMS]),
    ]


async def test_what_a_poll_brought_is_handed_on_in_order_until_the_flow_is_suspended(consumer: Fetching) -> None:
    handed_on: list[TP] = []
    full, ended = asyncio.Event(), asyncio.Event()

    async def callback(message: Any) -> None:
        handed_on.append(message.tp)
        if len(handed_on) == 2:
            full.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    consumer.callback = callback
    consumer.prepare({P: records(P, 0, 1, 2), Q: records(Q, 0), ITEMS: records(ITEMS, 0)})
    draining = asyncio.create_task(consumer._drain_messages(consumer))
    await full.wait()
    consumer.suspend_flow.set()
    await ended.wait()
    assert handed_on == [P, ITEMS]
    assert not draining.done()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining


async def test_what_was_waited_for_in_an_epoch_that_is_over_is_sought_again(consumer: Fetching) -> None:
    consumer.prepare({P: records(P, 0, 1)})
    (chunk,) = await handed_over(consumer)
    await asyncio.sleep(0)
    await consumer.rewind(chunk)
    consumer.polls[1].set()
    assert [tp async for tp, _ in consumer.getmany(1.0)] == []
    assert consumer.sought == [{P: 0}, {P: 0}]
    await asyncio.sleep(0)
    assert len(consumer.polls) == 2  # it would see what is from before that seek


async def test_nothing_is_waited_for_ahead_in_a_recovery(app: ChunkApp, consumer: Fetching) -> None:
    app.in_recovery = True
    consumer.prepare({P: records(P, 0, 1)})
    assert [tp async for tp, _ in consumer.getmany(1.0)] == [P]
    await asyncio.sleep(0)
    assert len(consumer.polls) == 1


async def test_nothing_is_sought_while_a_rebalance_is_under_way(consumer: Fetching) -> None:
    consumer.prepare({P: records(P, 0, 1, 2, 3)})
    async for _ in consumer.getmany(1.0):
        consumer.stop_flow()
    assert consumer.sought == []


async def test_what_is_committed_is_what_is_finished(consumer: Fetching) -> None:
    consumer.prepare({P: records(P, 0, 1, 2)})
    spans = [chunk.span for chunk in await handed_over(consumer)]
    assert list(consumer._filter_tps_with_pending_acks()) == []
    assert consumer.positions.accept(spans[0])
    assert consumer.positions.done(spans[0])
    assert list(consumer._filter_tps_with_pending_acks()) == [P]
    assert list(consumer._filter_tps_with_pending_acks({"items"})) == []
    assert (consumer._new_offset(P), consumer._new_offset(Q)) == (2, None)


async def test_what_the_broker_refused_is_committed_again(consumer: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked = [False, True], []

    async def commit(offsets: dict[TP, int]) -> bool:
        asked.append(dict(offsets))
        return answers.pop(0)

    monkeypatch.setattr(consumer._thread, "commit", commit)
    consumer.prepare({P: [record(0, "a")]})
    chunks = await handed_over(consumer)
    assert all(consumer.positions.accept(chunk.span) and consumer.positions.done(chunk.span) for chunk in chunks)
    for _ in range(3):
        await consumer.force_commit()
    assert asked == [{P: 1}, {P: 1}]


@pytest.mark.parametrize("member", [True, False])
async def test_nothing_is_ours_before_the_group_says_so(
    consumer: Fetching, monkeypatch: pytest.MonkeyPatch, *, member: bool
) -> None:
    asked = []

    async def committed() -> dict[TP, int]:
        return {P: 7, OTHER: 3}

    async def commit(offsets: dict[TP, int]) -> bool:
        asked.append((dict(offsets), consumer.app.tables.recovery.active_highwaters))
        return member

    table = users_table(consumer.app, Settings())
    consumer.app.tables.recovery.active_highwaters[OTHER] = 6
    monkeypatch.setattr(consumer._thread, "commit", commit)
    monkeypatch.setattr(consumer._thread, "seek_to_committed", committed)
    await consumer.seek_to_committed()
    assert asked == [({P: 7}, {OTHER: 6})]
    assert consumer.positions.may_fetch(tuple(P)) == member
    assert bool(table.write(b"u", b"\x01", 0).headers) == member


async def test_a_table_lets_go_of_partitions_that_are_neither_ours_nor_followed(app: ChunkApp) -> None:
    states, table = users_table(app, Settings()), app.tables._changelogs[OTHER.topic]
    for partition in range(3):
        states.write(b"u", b"\x01", partition)
    await table.on_recovery_completed({TP(OTHER.topic, 2)}, {TP(OTHER.topic, 0)})
    assert [states.read(b"u", partition) for partition in range(3)] == [b"\x01", None, b"\x01"]


async def test_faust_is_told_how_far_a_partition_is_known(app: ChunkApp) -> None:
    table = app.tables._changelogs[OTHER.topic] if users_table(app, Settings()) else None
    assert table is not None
    table.apply_changelog_batch([on_changelog(b"u", b"\x01", offset=7)])
    app.tables.recovery.add_standby(table, OTHER)
    app.tables.recovery.add_active(table, NOBODYS)
    assert (table.persisted_offset(OTHER), app.tables.recovery.standby_offsets[OTHER]) == (7, 7)
    assert (table.persisted_offset(NOBODYS), app.tables.recovery.active_offsets[NOBODYS]) == (None, None)


async def test_of_a_changelog_that_is_not_ours_nothing_is_noted(app: ChunkApp) -> None:
    states = users_table(app, Settings())
    app.note_written(*OTHER, 0)
    app.note_written("recommendations", 0, 0)
    assert states.applied(0) is None
    app.tables.recovery.active_offsets[OTHER] = -1
    states.own(0, Token(0, 1))
    app.note_written(*OTHER, 0)
    assert states.applied(0) == 0


def on_changelog(key: bytes, value: bytes | None, offset: int = 0) -> Any:
    """A record as Faust's recovery hands it over."""
    return SimpleNamespace(key=key, value=value, message=FakeRecord(offset, value, key, (), OTHER.topic))


async def test_whoever_takes_over_writes_as_a_later_owner(app: ChunkApp) -> None:
    states = users_table(app, Settings())
    assert states.write(b"u", b"\x01", 0).headers == ()
    app.tables.recovery.active_highwaters[OTHER] = 6
    for generation in (5, 6):
        app.consumer_generation_id = generation
        app.take_over()
        assert token_of(states.write(b"u", b"\x01", 0).headers, 100) == Token(7, generation)
    states.apply([FakeRecord(100, b"\x01", b"u", [(OWNER, encode_token(Token(7, 5)))])])
    assert states.sieve.covered == {b"u": 0}


async def test_whoever_takes_over_forgets_what_there_was_to_mend_of_others(app: ChunkApp) -> None:
    states = users_table(app, Settings())
    states.gaps.begin(1, 3)
    states.gaps.note_end(1, 5)
    app.tables.recovery.active_highwaters[OTHER] = 6
    app.consumer_generation_id = 5
    app.take_over()
    states.gaps.note_end(1, 12)
    assert states.gaps.open == []


async def test_a_changelog_of_a_later_version_is_not_recovered_from(app: ChunkApp) -> None:
    states = users_table(app, Settings())
    with pytest.raises(NewerVersion, match="stream-engine-users-state-changelog: version 2 found"):
        app.tables._changelogs[OTHER.topic].apply_changelog_batch([on_changelog(b"u", b"\x02\x90")])
    assert states.read(b"u", 0) is None
