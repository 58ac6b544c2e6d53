"""A user's list once more."""

from __future__ import annotations

import pytest
from harness.records import click, record
from harness.worlds import NOW, Stages, lists

from stream_engine.codec import decode_recommendation
from stream_engine.settings import TopicSettings
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages import ListsAgain
from stream_engine.users import UserState, encode_state

TITLES = {f"tea-{number}": f"tea pot {number}" for number in range(8)}


@pytest.fixture
def stages() -> Stages:
    return Stages()


@pytest.fixture
def again(stages: Stages) -> ListsAgain:
    return ListsAgain(stages.clicks.engine, TopicSettings(), lambda: NOW)


async def test_it_is_the_list_of_the_last_click(stages: Stages, again: ListsAgain) -> None:
    await stages.stock(TITLES)
    await stages.clicks.handle([click(4, "ann", "tea-1")])
    (first,) = lists(await stages.clicks.handle([click(7, "ann", "tea-2")]))
    (said,) = await again(b"ann", stages.users.read(b"ann", 0), 0)
    assert (said.topic, said.key) == ("recommendations", b"ann")
    answer = decode_recommendation(said.value or b"")
    assert (answer.recommendation_id, answer.interactions) == (first.recommendation_id, 2)
    assert (answer.trigger.offset, answer.items[0].item_id) == (7, first.items[0].item_id)


async def test_of_whom_nothing_is_known_nothing_is_left(again: ListsAgain) -> None:
    assert await again(b"ann", None, 0) == [Outgoing("recommendations", b"ann", None)]


async def test_what_is_no_state_has_no_list(again: ListsAgain) -> None:
    assert await again(b"ann", b"\x01\xc1", 0) == []


async def test_who_never_clicked_has_no_list(stages: Stages, again: ListsAgain) -> None:
    assert await again(b"ann", encode_state(UserState()), 0) == []
    body = {"user_id": "ann", "attributes": {"country": "PT"}}
    (noted,) = await stages.control.handle([record(0, body, key=b"ann", topic="users")])
    assert await again(b"ann", noted.value, 0) == []
