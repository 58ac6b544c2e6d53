"""Positions under a simulated consumer: whatever is lost or late on the way, every record is applied once, in order."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_engine.streaming.positions import Partition, Positions, Span

P: Partition = ("clicks", 0)
LOG = 40


@dataclass
class World:
    """A log, a consumer that fetches and seeks with delay, a queue that drops, and an agent that applies."""

    positions: Positions = field(default_factory=Positions)
    cursor: int = 0
    committed: int = 0
    fetching: tuple[int, list[int]] | None = None  # the epoch it began in, and what it brings
    seeking: deque[tuple[int, int | None]] = field(default_factory=deque)  # where to, and the epoch that then opens
    queue: deque[tuple[Span, list[int]]] = field(default_factory=deque)
    applied: list[int] = field(default_factory=list)
    fetched: int = 0

    def rebalance(self, _: int) -> None:
        self.positions.close()
        self.committed = self.positions.committable().get(P, self.committed)
        self.positions.forget([P])
        self.positions.start({P: self.committed})
        self.seeking.append((self.committed, self.positions.epoch))

    def begin_fetch(self, size: int) -> None:
        seeks_itself = any(opens is None for _, opens in self.seeking)
        if self.fetching is None and not seeks_itself and self.positions.may_fetch(P):
            records = list(range(self.cursor, min(LOG, self.cursor + size)))
            self.fetching = self.positions.epoch, records
            self.fetched += len(records)
            self.cursor += len(records)

    def end_fetch(self, size: int) -> None:
        if self.fetching is None:
            return
        epoch, records = self.fetching
        if not records:
            self.fetching = None
            return
        part, rest = records[:size], records[size:]
        span = self.positions.hand_over(P, part[-1] + 1, since=epoch)
        if span is None:
            self.seeking.extend((offset, None) for offset in self.positions.undelivered([P]).values())
            self.fetching = None
            return
        self.queue.append((span, part))
        self.fetching = epoch, rest

    def drop(self, _: int) -> None:
        if self.queue:
            self.queue.popleft()

    def apply(self, _: int) -> None:
        if not self.queue:
            return
        span, records = self.queue.popleft()
        if self.positions.accept(span):
            assert self.positions.done(span)
            self.applied += records
        elif self.positions.is_behind_a_loss(span):
            for offset in self.positions.rewind(P).values():
                self.seeking.append((offset, self.positions.epoch))

    def end_seek(self, _: int) -> None:
        if self.seeking:
            self.cursor, opens = self.seeking.popleft()
            if opens is not None:
                self.positions.open(opens)

    def settle(self) -> None:
        """Everything on its way arrives."""
        while self.seeking:
            self.end_seek(0)
        self.begin_fetch(7)
        self.end_fetch(3)
        self.apply(0)


OFTEN = ("begin_fetch", "end_fetch", "apply")
STEPS = (*OFTEN, *OFTEN, *OFTEN, "drop", "drop", "end_seek", "end_seek", "rebalance")


@settings(max_examples=500)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 5)), min_size=20, max_size=80))
def test_every_record_is_applied_in_order_whatever_happens(steps: list[tuple[str, int]]) -> None:
    world = World()
    world.positions.start({P: 0})
    world.positions.open(world.positions.epoch)
    for name, size in steps:
        getattr(world, name)(size)
    assert world.applied == list(range(len(world.applied)))
    before = world.fetched
    for _ in range(10 * LOG):
        world.settle()
    assert world.applied == list(range(LOG))
    assert world.fetched - before <= 4 * LOG  # what was lost is fetched again, not again and again
