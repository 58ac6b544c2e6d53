"""Clicks on ids that nobody ever announces: what one worker keeps of them, and how long a list takes meanwhile."""

from __future__ import annotations

import gc
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from harness.records import record
from harness.worlds import Stages, surplus_of
from proc import resident

from stream_engine.engine import Engine
from stream_engine.events import Interaction, Received, Source
from stream_engine.items.updates import ItemUpdate, encode_updates, updates_of
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.publisher import FakePublisher
from stream_engine.users import UserState

START = 1_600_000_000.0
RATE = 400  # clicks a second: more than one worker takes
KNOWN, REGULAR, USERS, PARTITIONS, WINDOW = 3_000, 20, 1_000, 8, 10
ASKED = 300  # lists timed at each mark


def clicks(strangers: int) -> Iterator[list[ItemUpdate]]:
    """What each click says: of ten, seven are on ids that come once, two on the catalogue, one on a few regular ids."""
    rng = np.random.default_rng(0)
    before: defaultdict[int, deque[str]] = defaultdict(lambda: deque(maxlen=WINDOW))
    numbers = count()
    for offset in count():
        kind, user = int(rng.integers(10)), int(rng.integers(USERS))
        if kind < 7:
            if (number := next(numbers)) == strangers:
                return
            item_id = f"once-{number}"
        else:
            item_id = f"i{int(KNOWN * rng.random() ** 2)}" if kind < 9 else f"regular-{int(rng.integers(REGULAR))}"
        earlier, source = list(dict.fromkeys(before[user])), Source("clicks", user % PARTITIONS, offset)
        time_of = START + offset / RATE
        yield updates_of(item_id, earlier, source=source, timestamp=time_of, weight=1.0, fade=0.9)
        before[user].appendleft(item_id)


class Worker:
    """The stages, the view and the bound of one worker that owns everything."""

    def __init__(self, unannounced: int) -> None:
        self.stages, self._publisher = Stages(), FakePublisher()
        self.surplus = surplus_of(self.stages, self._publisher, unannounced=unannounced, partitions=PARTITIONS)
        self.seconds: list[float] = []  # that the bound took, each time

    async def apply(self, updates: Sequence[ItemUpdate]) -> None:
        """A second of clicks, and what a worker does once a second."""
        owned: defaultdict[int, list[ItemUpdate]] = defaultdict(list)
        for update in updates:
            owned[partition_of(update.item_id.encode(), PARTITIONS)].append(update)
        records = [
            record(0, encode_updates(said), topic="interactions", partition=owner) for owner, said in owned.items()
        ]
        await self.stages.feed(await self.stages.statistics.handle(records))
        began = time.perf_counter()
        await self.surplus.step()
        self.seconds.append(time.perf_counter() - began)
        await self.stages.feed(self._publisher.published)
        self._publisher.published.clear()

    async def measured(self, user: UserState, now: float) -> dict[str, float]:
        """What is kept, and how long a list takes."""
        took, engine = [], self.stages.clicks.engine
        for _ in range(ASKED):
            began = time.perf_counter()
            await engine.recommend("u", user, now)
            took.append(1e3 * (time.perf_counter() - began))
        gc.collect()
        table, regular = self.stages.items.values, [f"regular-{number}".encode() for number in range(REGULAR)]
        found = {
            "items": len(table),
            "table_mb": round(sum(map(len, table.values())) / 1e6, 1),
            "view_rows": len(self.stages.view.ids),
            "resident_mb": round(resident() / 1e6),
            "regular_kept": sum(any((key, at) in table for at in range(PARTITIONS)) for key in regular),
            "list_p50_ms": round(float(np.percentile(took, 50)), 2),
            "list_p99_ms": round(float(np.percentile(took, 99)), 2),
            "bound_ms_a_second": round(1e3 * float(np.mean(self.seconds[-50:])), 1),
        }
        return {name: float(value) for name, value in found.items()}


async def strangers(marks: Sequence[int], unannounced: int) -> dict[str, dict[str, float]]:
    """What is kept after so many ids that came once."""
    worker, found, seen = Worker(unannounced), {}, 0
    await worker.stages.stock({f"i{number}": f"item {number % 97} of {number % 89}" for number in range(KNOWN)})
    user = await somebody(worker.stages.clicks.engine)
    second: list[ItemUpdate] = []
    for offset, said in enumerate(clicks(marks[-1] + 1), start=1):
        second += said
        seen += said[0].item_id.startswith("once-")
        if offset % RATE == 0:
            await worker.apply(second)
            second = []
        if seen in marks and str(seen) not in found:
            found[str(seen)] = await worker.measured(user, START + offset / RATE)
    return found


async def somebody(engine: Engine) -> UserState:
    """A user with a history in the catalogue."""
    received = [
        Received(Interaction(user_id="u", item_id=f"i{at}", timestamp=START + at), Source("clicks", 0, at))
        for at in range(30)
    ]
    return (await engine.remember(received))["u"]
