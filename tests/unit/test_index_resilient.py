"""The circuit breaker, with a store that fails as told and a clock that stands still."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from harness.guarded import eventually
from harness.still import Clock

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.index.resilient import FIRST_PAUSE, LONGEST_PAUSE, ResilientIndex

POINT = Point("a", np.array([1.0, 0.0], dtype=np.float32))
QUERY = Query(POINT.vector, 1)


class Flaky(MemoryIndex):
    """Counts what it is asked, and raises `failure` while it is set."""

    def __init__(self) -> None:
        super().__init__(2)
        self.failure: Exception | None = None
        self.searches = self.openings = self.optimized = 0

    async def ensure(self) -> None:
        self.openings += 1
        if self.failure is not None:
            raise self.failure

    async def optimize(self) -> None:
        self.optimized += 1
        if self.failure is not None:
            raise self.failure

    async def search(self, queries: list[Query]) -> list[list[Match]]:
        self.searches += 1
        if self.failure is not None:
            raise self.failure
        return await super().search(queries)


@pytest.fixture
def store() -> Flaky:
    return Flaky()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def index(store: Flaky, clock: Clock) -> ResilientIndex:
    index = ResilientIndex(store, clock)
    await index.ensure()
    await index.upsert([POINT])
    return index


async def refused(index: ResilientIndex, reason: str = "gone") -> None:
    with pytest.raises(Unavailable, match=f"^index: {reason}$"):
        await index.search([QUERY])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (nobody sets an event for us)
            await asyncio.sleep(0)


async def test_an_outage_is_asked_once_then_costs_nothing(index: ResilientIndex, store: Flaky) -> None:
    store.failure = Unavailable("index", "gone")
    for _ in range(5):
        await refused(index)
    assert store.searches == 1
    assert (index.available, index.reason, index.recoveries) == (False, "gone", 0)
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: index.upsert([POINT]),
        lambda: index.delete(["a"]),
        index.count,
    ]
    for operation in operations:
        with pytest.raises(Unavailable):
            await operation()


async def test_recovers_by_itself_once_the_pause_is_over(index: ResilientIndex, store: Flaky, clock: Clock) -> None:
    store.failure = Unavailable("index", "gone")
    await refused(index)
    store.failure = None
    clock.now += FIRST_PAUSE - 0.01
    await refused(index)
    await asyncio.sleep(0)
    assert store.openings == 1
    clock.now += 0.01
    await refused(index)  # this one starts the probe, and does not wait for it
    await until(lambda: index.available)
    assert (index.recoveries, index.reason, store.openings) == (1, "", 2)
    assert await index.search([QUERY]) == [[Match("a", 1.0)]]
    store.failure = Unavailable("index", "gone")  # a new outage starts with a short pause again
    await refused(index)
    store.failure = None
    clock.now += FIRST_PAUSE
    await refused(index)
    await until(lambda: index.available)
    assert index.recoveries == 2


async def test_one_probe_at_a_time(index: ResilientIndex, store: Flaky, clock: Clock) -> None:
    store.failure = Unavailable("index", "gone")
    await refused(index)
    entered, release = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        store.openings += 1
        entered.set()
        await release.wait()

    store.ensure = slowly  # type: ignore[method-assign]
    clock.now += LONGEST_PAUSE
    await refused(index)
    await entered.wait()
    for _ in range(3):
        await refused(index)
        await asyncio.sleep(0)
    assert store.openings == 2
    release.set()
    await until(lambda: index.available)


async def test_the_pause_doubles_up_to_a_cap(index: ResilientIndex, store: Flaky, clock: Clock) -> None:
    store.failure = Unavailable("index", "gone")
    await refused(index)
    pause = FIRST_PAUSE
    for attempt in range(2, 12):
        clock.now += pause
        await refused(index)
        await until(lambda attempt=attempt: store.openings == attempt)
        await asyncio.sleep(0)
        pause = min(LONGEST_PAUSE, pause * 2)
    assert pause == LONGEST_PAUSE
    assert not index.available


async def test_a_store_that_opens_but_does_not_answer_is_asked_less_and_less(
    index: ResilientIndex, store: Flaky, clock: Clock
) -> None:
    store.failure = Unavailable("index", "slow")
    await refused(index, "slow")
    for failures in range(1, 4):
        store.failure = None
        clock.now += LONGEST_PAUSE
        await refused(index, "slow")
        await until(lambda: index.available)
        store.failure = Unavailable("index", "slow")
        await refused(index, "slow")
        openings = store.openings
        clock.now += FIRST_PAUSE * 2**failures - 0.01
        await refused(index, "slow")
        await asyncio.sleep(0)
        assert store.openings == openings


async def test_a_store_that_opens_but_is_slow_to_count_stays_closed_to_searches(
    index: ResilientIndex, store: Flaky, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_slow() -> int:
        raise Unavailable("index", "slow")

    store.failure = Unavailable("index", "slow")
    await refused(index, "slow")
    store.failure = None
    with monkeypatch.context() as slow:
        slow.setattr(store, "count", too_slow)
        clock.now += LONGEST_PAUSE
        await refused(index, "slow")
        await until(lambda: store.openings == 2)
        await asyncio.sleep(0)
        await refused(index, "slow")
        assert store.searches == 1
    clock.now += LONGEST_PAUSE
    await refused(index, "slow")
    await until(lambda: index.available)
    assert index.recoveries == 1


async def test_failures_under_way_together_count_once(index: ResilientIndex, store: Flaky, clock: Clock) -> None:
    release = asyncio.Event()

    async def fail_later(_: list[Query]) -> list[list[Match]]:
        await release.wait()
        raise Unavailable("index", "gone")

    store.search = fail_later  # type: ignore[method-assign]
    calls = [asyncio.create_task(index.search([QUERY])) for _ in range(8)]
    await asyncio.sleep(0)
    release.set()
    assert all(isinstance(failure, Unavailable) for failure in await asyncio.gather(*calls, return_exceptions=True))
    clock.now += FIRST_PAUSE
    await refused(index)
    await until(lambda: index.available)


async def test_a_store_away_at_the_start_opens_the_circuit(store: Flaky, clock: Clock) -> None:
    store.failure = Unavailable("index", "not yet")
    index = ResilientIndex(store, clock)
    await index.ensure()
    assert (index.available, index.reason) == (False, "not yet")
    store.failure = None
    clock.now += FIRST_PAUSE
    await index.ensure()
    await until(lambda: index.available)
    assert index.recoveries == 1


async def test_bad_configuration_refuses_the_start_but_not_a_running_worker(store: Flaky, clock: Clock) -> None:
    store.failure = BadConfiguration("index.api_key", "wrong")
    index = ResilientIndex(store, clock)
    with pytest.raises(BadConfiguration):
        await index.ensure()
    store.failure = None
    await index.ensure()
    store.failure = Unavailable("index", "gone")
    await refused(index)
    store.failure = BadConfiguration("index.api_key", "rotated")
    clock.now += FIRST_PAUSE
    await refused(index)
    await until(lambda: store.openings == 3)
    await refused(index, "index.api_key: rotated")


async def test_a_bug_is_no_outage(index: ResilientIndex, store: Flaky, clock: Clock) -> None:
    store.failure = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        await index.search([QUERY])
    assert index.available
    store.failure = Unavailable("index", "gone")
    await refused(index)
    store.failure = ZeroDivisionError("bug in ensure")
    clock.now += FIRST_PAUSE
    await refused(index)
    await until(lambda: store.openings == 2)
    await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError):
        await index.search([QUERY])


async def test_close_stops_a_probe(index: ResilientIndex, store: Flaky, clock: Clock) -> None:
    store.failure = Unavailable("index", "gone")
    await refused(index)
    store.ensure = asyncio.Event().wait  # type: ignore[assignment,method-assign]
    clock.now += FIRST_PAUSE
    await refused(index)
    async with asyncio.timeout(5):
        await index.close()
        await index.close()


async def test_optimized_while_it_is_there(index: ResilientIndex, store: Flaky) -> None:
    await index.optimize()
    store.failure = Unavailable("index", "gone")
    await index.optimize()
    assert (index.available, store.optimized) == (True, 2)  # clicks go on
    await refused(index)
    await index.optimize()
    assert store.optimized == 2


async def test_optimized_again_and_again(index: ResilientIndex, store: Flaky) -> None:
    keeping = asyncio.create_task(index.keep_optimized(every=0.0))
    await eventually(lambda: store.optimized > 2)
    keeping.cancel()
