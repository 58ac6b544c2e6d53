"""Clicks, attributes and erasures of a user in any interleaving, with crashes: the same end as in their order."""

from __future__ import annotations

import asyncio

from harness.records import FakeRecord, click, record
from harness.worlds import Stages
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_engine.codec import decode_recommendation
from stream_engine.streaming.publisher import Outgoing
from stream_engine.users import UserState, decode_state

BEGAN = 1_700_000_000_000
USERS = ("u", "v")
USER_EVENTS = st.sampled_from(["click", "click", "click", "erase", "describe"])
LOGS = st.lists(st.tuples(USER_EVENTS, st.sampled_from(USERS)), min_size=1, max_size=14)
STEPS = st.lists(st.sampled_from(["clicks", "users", "commit", "crash"]), max_size=60)


def log_of(events: list[tuple[str, str]]) -> list[FakeRecord]:
    """Records of both topics, each a millisecond after the one before."""
    sizes, log = {"clicks": 0, "users": 0}, []
    for at, (what, user) in enumerate(events):
        topic = "clicks" if what == "click" else "users"
        if what == "click":
            made = click(sizes[topic], user, f"item-{at}", timestamp=(BEGAN + at) / 1000)
        else:
            body = None if what == "erase" else {"user_id": user, "attributes": {"at": at}}
            made = record(sizes[topic], body, key=user.encode())
        log.append(FakeRecord(made.offset, made.value, made.key, topic=topic, timestamp=BEGAN + at))
        sizes[topic] += 1
    return log


class Worker:
    """Applies both topics record by record; what it wrote survives a crash, what it did not commit comes again."""

    def __init__(self, log: list[FakeRecord]) -> None:
        self.stages = Stages()
        self.log = {topic: [each for each in log if each.topic == topic] for topic in ("clicks", "users")}
        self.stages.past.add(*log)
        self.done = {"clicks": 0, "users": 0}
        self.committed = dict(self.done)
        self.lists: dict[bytes | None, bytes | None] = {}

    async def step(self, what: str) -> bool:
        """Whether there was anything to do."""
        if what == "crash":
            self.done = dict(self.committed)
        elif what == "commit":
            self.committed = dict(self.done)
        else:
            return await self._apply(what)
        return True

    async def _apply(self, topic: str) -> bool:
        left = self.log[topic][self.done[topic] :]
        if not left:
            return False
        if topic == "users":
            places = await self.stages.ordering.due(left[:1])
            if any(self.done.get(other, 0) < place for (other, _), place in places.items()):
                return False
        stage = self.stages.clicks if topic == "clicks" else self.stages.control
        self._publish(await stage.handle(left[:1]))
        self.done[topic] += 1
        return True

    def _publish(self, effects: list[Outgoing]) -> None:
        self.lists.update({each.key: each.value for each in effects if each.topic == "recommendations"})

    async def drained(self) -> dict[str, tuple[UserState | None, int | None]]:
        """What is known of each user when nothing is left to do, and how much their list reflects."""
        while await self.step("users") or await self.step("clicks"):
            pass
        assert self.done == {topic: len(records) for topic, records in self.log.items()}
        return {user: (self._state(user), self._listed(user)) for user in USERS}

    def _state(self, user: str) -> UserState | None:
        stored = self.stages.users.values.get((user.encode(), 0))
        return None if stored is None else decode_state(stored)

    def _listed(self, user: str) -> int | None:
        value = self.lists.get(user.encode())
        return None if value is None else decode_recommendation(value).interactions


async def in_order(log: list[FakeRecord]) -> dict[str, tuple[UserState | None, int | None]]:
    worker = Worker(log)
    for each in log:
        assert await worker.step(each.topic)
    return await worker.drained()


async def disturbed(log: list[FakeRecord], steps: list[str]) -> dict[str, tuple[UserState | None, int | None]]:
    worker = Worker(log)
    for step in steps:
        await worker.step(step)
    return await worker.drained()


@settings(max_examples=60, deadline=None)
@given(events=LOGS, steps=STEPS)
def test_whatever_is_late_or_comes_again_the_end_is_the_same(events: list[tuple[str, str]], steps: list[str]) -> None:
    log = log_of(events)
    expected = asyncio.run(in_order(log))
    assert asyncio.run(disturbed(log, steps)) == expected
    for user, (state, listed) in expected.items():
        since = max((at for at, event in enumerate(events) if event == ("erase", user)), default=-1)
        assert (state.interactions if state else 0) == events[since + 1 :].count(("click", user))
        assert (listed or 0) == events[since + 1 :].count(("click", user))
