"""A visitor joins an account on another partition: whatever is read first, and with crashes, no click is missing."""

from __future__ import annotations

import asyncio
from collections import Counter

from harness.records import FakeRecord, click, record
from harness.worlds import Stages, lists, of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_engine.streaming.positions import Partition
from stream_engine.streaming.publisher import Outgoing
from stream_engine.users import decode_state

BEGAN = 1_700_000_000_000
HOME = {"account": 0, "visitor": 1}
PLACES: list[Partition] = [("clicks", 0), ("clicks", 1), ("users", 1), ("joins", 0)]
EVENTS = st.lists(st.sampled_from(["account", "visitor", "visitor", "merge"]), min_size=1, max_size=14)
STEPS = st.lists(st.sampled_from([*PLACES, "commit", "crash"]), max_size=60)
Step = Partition | str


class Worker:
    """Applies records one by one; what it wrote survives a crash, what it did not commit comes again."""

    def __init__(self, events: list[str]) -> None:
        self.stages = Stages()
        self.log: dict[Partition, list[FakeRecord]] = {place: [] for place in PLACES}
        self.now = BEGAN
        for event in events:
            self.append(event)
        self.done = dict.fromkeys(PLACES, 0)
        self.committed = dict(self.done)
        self.listed = 0

    def append(self, event: str) -> None:
        """A click of one of them, or the visitor's merge, a millisecond after the one before."""
        topic, user = ("users", "visitor") if event == "merge" else ("clicks", event)
        offset = len(self.log[topic, HOME[user]])
        made = click(offset, user, f"{user}-{offset}", timestamp=self.now / 1000)
        if event == "merge":
            made = record(offset, {"user_id": user, "merge_into": "account"}, key=user.encode())
        self._add(topic, HOME[user], made.key, made.value)

    def _add(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        log = self.log[topic, partition]
        log.append(FakeRecord(len(log), value, key, topic=topic, partition=partition, timestamp=self.now))
        self.stages.past.add(log[-1])
        self.now += 1

    async def step(self, what: Step) -> bool:
        """Whether there was anything to do."""
        if what == "crash":
            self.done = dict(self.committed)
        elif what == "commit":
            self.committed = dict(self.done)
        elif isinstance(what, tuple):
            return await self._apply(what)
        return True

    async def _apply(self, place: Partition) -> bool:
        left = self.log[place][self.done[place] :][:1]
        if not left or (place[0] == "users" and not await self._is_due(left)):
            return False
        stages = {"clicks": self.stages.clicks, "users": self.stages.control, "joins": self.stages.joins}
        self._publish(await stages[place[0]].handle(left))
        self.done[place] += 1
        return True

    async def _is_due(self, records: list[FakeRecord]) -> bool:
        due = await self.stages.ordering.due(records)
        return all(self.done.get(place, end) >= end for place, end in due.items())

    def _publish(self, effects: list[Outgoing]) -> None:
        for each in of(effects, "joins"):
            self._add("joins", HOME["account"], each.key, each.value)
        for answer in lists(effects):
            if answer.user_id == "account":
                self.listed = answer.interactions

    async def drained(self) -> Counter[str]:
        """The account's items, once nothing is left to do; its list counts as many."""
        while any([await self.step(place) for place in PLACES]):
            pass
        assert self.done == {place: len(log) for place, log in self.log.items()}
        stored = self.stages.users.values.get((b"account", HOME["account"]))
        state = None if stored is None else decode_state(stored)
        assert self.listed == (state.interactions if state else 0)
        return Counter(state.items if state else ())


async def disturbed(events: list[str], steps: list[Step]) -> Counter[str]:
    worker = Worker(events)
    for step in steps:
        await worker.step(step)
    return await worker.drained()


@settings(max_examples=60)
@given(events=EVENTS, steps=STEPS)
@example(events=["visitor", "merge"], steps=[("users", 1)])
@example(events=["visitor", "account", "merge", "account"], steps=[("clicks", 1), ("users", 1), ("joins", 0), "crash"])
def test_an_account_has_what_its_visitor_did_before_they_joined_whatever_comes_first(
    events: list[str], steps: list[Step]
) -> None:
    """Each once; of what the visitor did after the last merge, some may be there too."""
    found = asyncio.run(disturbed(events, steps))
    last = max((at for at, event in enumerate(events) if event == "merge"), default=0)
    own = {f"account-{number}" for number in range(events.count("account"))}
    before = {f"visitor-{number}" for number in range(events[:last].count("visitor"))}
    after = {f"visitor-{number}" for number in range(events.count("visitor"))} if "merge" in events else set()
    assert set(found.values()) <= {1}
    assert own | before <= found.keys() <= own | before | after
