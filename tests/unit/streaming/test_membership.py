"""Faust's consumer without its thread: it starts, is called and stops on the loop of all else."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from stream_engine.settings import Settings, StreamSettings
from stream_engine.streaming.app import make_app
from stream_engine.streaming.consumer import ChunkConsumer
from stream_engine.streaming.membership import Member


async def nothing(*_: object) -> None: ...


class FakeClient:
    """In place of aiokafka's consumer: says where it runs."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, threading.Thread]] = []
        self.failure: Exception | None = None
        self.fetched: dict[TopicPartition, list[str]] = {}
        self._max_poll_records = 1
        self._closed = False
        self._fetcher = SimpleNamespace(
            _get_actions_per_node=nothing,
            _closed=False,
            _subscriptions=SimpleNamespace(fetch_context=nullcontext),
            fetched_records=self.fetched_records,
        )

    async def start(self) -> None:
        self._note("start")
        if self.failure:
            raise self.failure

    async def stop(self) -> None:
        self._note("stop")

    async def fetched_records(self, *_: Any, **__: Any) -> Any:
        return self.fetched

    async def position(self, tp: Any) -> Any:
        self._note("position")
        return tp

    def _note(self, what: str) -> None:
        self.seen.append((what, threading.current_thread()))


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
async def member(tmp_path: Path, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> Member:
    app = make_app(Settings(stream=StreamSettings(data_dir=tmp_path)), finish=nothing)
    callbacks = {"on_partitions_revoked": nothing, "on_partitions_assigned": nothing}
    member = ChunkConsumer(app.transport, callback=nothing, **callbacks)._thread
    monkeypatch.setattr(member, "_create_consumer", lambda **_: client)
    return member


async def test_everything_happens_on_the_loop_that_calls(member: Member, client: FakeClient) -> None:
    other = asyncio.ensure_future(asyncio.Event().wait())
    threads = threading.active_count()
    await member.start()
    assert await member.position("a partition") == "a partition"
    assert threading.active_count() == threads
    await member.stop()
    assert client.seen == [(what, threading.main_thread()) for what in ("start", "position", "stop")]
    assert not other.done(), "who stops ends nobody else's task"
    other.cancel()


async def test_what_is_called_may_be_a_coroutine_or_not_and_may_fail(member: Member) -> None:
    assert await member.call_thread(sorted, [2, 1], reverse=False) == [1, 2]
    with pytest.raises(ValueError, match="invalid literal"):
        await member.call_thread(int, "x")


async def test_the_intake_closes_with_anything_that_cannot_wait(member: Member, client: FakeClient) -> None:
    await member.start()
    for topic, closes in (("items", False), (member.app.conf.id, False), ("clicks", True)):
        client.fetched = {TopicPartition(topic, 0): ["a record"]}
        member.consumer.flow_active = True
        assert await member.getmany(None, 0.0) == client.fetched
        assert (member.app.intake.opening() is not None) == closes
    await member.stop()


async def test_a_start_that_fails_says_so(member: Member, client: FakeClient) -> None:
    client.failure = ConnectionError("no broker")
    with pytest.raises(ConnectionError, match="no broker"):
        await member.start()
