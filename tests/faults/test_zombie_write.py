"""A write that was on its way when its writer was replaced lands on top of what the new owner wrote, on a real broker.

With workers whose records name no owner and that write nothing again, both tests fail: the changelog keeps the late
states for good, and once it is compacted they are all there is.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from harness.held import Way, way
from harness.live import Live, settings_on
from harness.undisturbed import recovered, undisturbed
from harness.workers import WorkerProcess, wait_for

from stream_engine.errors import BadConfiguration
from stream_engine.local.broker import Broker, start_broker
from stream_engine.local.broker_config import Listener
from stream_engine.local.ports import free_port
from stream_engine.settings import Settings
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import USERS_TABLE, changelog_topic
from stream_engine.users import UserState, decode_state, encode_state

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CACHE = Path(__file__).parents[2] / ".cache"
ITEMS = {f"tea-{number}": f"tea pot {number}" for number in range(20)}
SESSION = 3.0  # seconds
EMPTY = encode_state(UserState())


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Way]]:
    """A broker with a second way in, where what is written can be held up."""
    port = free_port()
    with way(port) as held:
        try:
            listener = Listener("HELD", port, advertised=held.port)
            running = start_broker(tmp_path_factory.mktemp("broker"), cache_dir=CACHE, listeners=[listener])
        except BadConfiguration as error:
            pytest.skip(f"no broker: {error}")
        with running:
            yield running, held


@pytest.fixture
def live(doors: tuple[Broker, Way], prefix: str, tmp_path: Path) -> Iterator[Live]:
    """Three workers, none started; the first comes in by the way that can be held up."""
    broker, held = doors
    settings = settings_on(broker.bootstrap, prefix, partitions=1)
    settings = on_kafka(settings, session_timeout=SESSION)
    create_or_verify(settings)
    theirs = [on_kafka(settings, broker=f"127.0.0.1:{held.port}"), settings, settings]
    workers = [WorkerProcess(tmp_path / f"worker-{number}", each) for number, each in enumerate(theirs)]
    with closing(Live(settings, workers)) as made:
        try:
            yield made
        finally:
            for worker in workers:
                worker.stop()


def test_who_owns_the_partition_writes_over_a_late_write(doors: tuple[Broker, Way], live: Live) -> None:
    right = written_late(doors[1], live)
    doors[1].let_go()
    wait_for(lambda: came_back(live), "the late write to land")
    goes_on(live, right)


def test_who_takes_over_after_a_late_write_leaves_it_out(doors: tuple[Broker, Way], live: Live) -> None:
    _, latter, third = live.workers
    right = written_late(doors[1], live)
    latter.signal(signal.SIGSTOP)
    doors[1].let_go()
    wait_for(lambda: came_back(live), "the late write to land")
    latter.signal(signal.SIGKILL)
    third.start()
    goes_on(live, right)


def written_late(held: Way, live: Live) -> dict[str, bytes | None]:
    """What is right, while the second clicks of zoe and ann, applied by a worker that is gone, are still on their way.

    The next worker has applied these and two more of zoe's, and erased ann.
    """
    former, latter, _ = live.workers
    live.items(ITEMS)
    former.start()
    live.until_known(ITEMS)
    for user in ("ann", "zoe"):
        live.click(user, "tea-1")
        live.list_of(user, 1)
    held.hold(changelog_of(live))
    for user in ("ann", "zoe"):
        live.send(live.topics.clicks, user, {"user_id": user, "item_id": "tea-2"}, flush=False)
    live.flush()
    wait_for(lambda: held.held, "a write to be held up")
    former.signal(signal.SIGKILL)
    former.wait()
    latter.start()
    live.click("zoe", "tea-3", "tea-4")
    live.list_of("zoe", 4)
    live.send(live.topics.users, "ann", None)
    wait_for(lambda: last_of_each(live)["ann"] is None, "ann to be erased")
    return last_of_each(live)


def came_back(live: Live) -> bool:
    """Whether zoe and ann are on the changelog with two clicks."""
    last = last_of_each(live)
    return all(decode_state(last[user] or EMPTY).interactions == 2 for user in ("ann", "zoe"))


def goes_on(live: Live, right: dict[str, bytes | None]) -> None:
    """The changelog ends with what is right, so do the lists, and further clicks come on top of that."""
    wait_for(lambda: last_of_each(live) == right, "it to be written over")
    wait_for(lambda: live.answers.interactions("zoe") == 4 and live.answers.last["ann"] is None, "lists as they were")
    live.click("zoe", "tea-5")
    live.click("ann", "tea-6")
    live.list_of("zoe", 5)
    live.list_of("ann", 1)
    found = recovered(live.settings).users
    assert found["zoe"] == undisturbed(live.settings).users["zoe"]
    assert found["ann"].items == ("tea-6",)


def last_of_each(live: Live) -> dict[str, bytes | None]:
    """What compaction leaves: the last record of each user."""
    return {each.key.decode(): each.value for each in snapshot(live.settings.kafka, changelog_of(live))}


def changelog_of(live: Live) -> str:
    return changelog_topic(live.settings.kafka.group, USERS_TABLE)


def on_kafka(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=changes)})
