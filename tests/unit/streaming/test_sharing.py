"""Workers share what their rankers learn: each snapshot is taken in once, our own only after a restart."""

from __future__ import annotations

import pytest

from stream_engine.errors import Unavailable
from stream_engine.streaming.publisher import FakePublisher, Outgoing
from stream_engine.streaming.sharing import WORKERS, Sharing


class Learner:
    """Counts, and keeps what it was given."""

    def __init__(self) -> None:
        self.samples = 0
        self.merged: list[dict[str, bytes]] = []

    def snapshot(self) -> bytes:
        return f"after {self.samples}".encode()

    def merge(self, snapshots: dict[str, bytes]) -> None:
        self.merged.append(snapshots)


def made(publisher: FakePublisher | None = None, allowed: list[str] | None = None) -> tuple[Sharing, Learner]:
    learner = Learner()
    noted = [] if allowed is None else allowed
    return (
        Sharing(
            learner,
            worker="me",
            topic="ranker",
            publisher=publisher or FakePublisher(),
            may_write=lambda: noted.append("asked"),
        ),
        learner,
    )


def test_others_snapshots_are_taken_in_once_the_last_of_each() -> None:
    sharing, learner = made()
    sharing.take(b"a", b"1")
    sharing.take(b"a", b"2")
    sharing.take(b"b", b"3")
    sharing.take(b"c", None)
    sharing.merge()
    sharing.merge()
    assert learner.merged == [{"a": b"2", "b": b"3"}]


def test_our_own_counts_only_before_we_have_learnt() -> None:
    sharing, learner = made()
    sharing.take(b"me", b"from before the restart")
    sharing.merge()
    learner.samples = 1
    sharing.take(b"me", b"our own echo")
    sharing.merge()
    assert learner.merged == [{"me": b"from before the restart"}]


def test_of_ever_new_workers_the_latest_are_taken_in() -> None:
    sharing, learner = made()
    for number in range(3 * WORKERS):
        sharing.take(b"always", b"%d" % number)
        sharing.take(b"w%d" % number, b"")
    sharing.merge()
    (merged,) = learner.merged
    assert len(merged) == WORKERS
    assert merged["always"] == b"%d" % (3 * WORKERS - 1)
    assert merged.keys() - {"always"} == {f"w{3 * WORKERS - 1 - ago}" for ago in range(WORKERS - 1)}


async def test_what_is_new_is_published_once_and_only_with_the_lease() -> None:
    publisher, allowed = FakePublisher(), []
    sharing, learner = made(publisher, allowed)
    await sharing.publish()
    assert (publisher.published, allowed) == ([], [])
    learner.samples = 5
    await sharing.publish()
    await sharing.publish()
    assert publisher.published == [Outgoing("ranker", b"me", b"after 5")]
    assert allowed == ["asked"]


async def test_what_did_not_arrive_is_published_again() -> None:
    publisher = FakePublisher(failures=1)
    sharing, learner = made(publisher)
    learner.samples = 5
    with pytest.raises(Unavailable):
        await sharing.publish()
    await sharing.publish()
    assert [each.value for each in publisher.published] == [b"after 5"]
