"""A model of Kafka's group coordinator: sessions, generations, committed offsets; rebalances are eager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulation.clock import Clock, Loop

SESSION = 1.0
REBALANCE = 2 * SESSION


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to a join."""

    member: int
    generation: int
    partitions: tuple[int, ...]


@dataclass(slots=True)
class _Member:
    deadline: float
    answer: Callable[[Joined], None] | None = None


class Group:
    """Who owns what, and up to where it was read."""

    def __init__(self, clock: Clock, loop: Loop, partitions: int) -> None:
        self._clock = clock
        self._loop = loop
        self._partitions = partitions
        self.generation = 0
        self.preparing = False
        self.committed: dict[int, int] = {}
        self.commits = 0
        self._members: dict[int, _Member] = {}
        self.on_commit: Callable[[int, int], None] = lambda *_: None
        self.tell: Callable[[str], None] = lambda _: None
        self._assigned: dict[int, tuple[int, ...]] = {}
        self._next_member = 0
        loop.call_later(SESSION / 10, self._sweep)

    def join(self, member: int | None, answer: Callable[[Joined], None]) -> None:
        """Take part in the next generation; `answer` is called when it begins."""
        if member is None or member not in self._members:
            self._next_member += 1
            member = self._next_member
            self._members[member] = _Member(0.0)
        self._members[member].answer = answer
        self.rebalance()
        self._complete_if_all_joined()

    def heartbeat(self, member: int, generation: int) -> str:
        """ "ok", "rebalance" or "unknown"."""
        if member not in self._members or generation != self.generation:
            return "unknown"
        self._members[member].deadline = self._clock.now + SESSION
        return "rebalance" if self.preparing else "ok"

    def leave(self, member: int) -> None:
        """Go, and have the others take over."""
        if self._members.pop(member, None) is not None:
            self.rebalance()
            self._complete_if_all_joined()

    def commit(self, member: int | None, generation: int, offsets: Mapping[int, int]) -> bool:
        """Whether this member of this generation may; if so, its offsets are taken."""
        if member not in self._members or generation != self.generation:
            return False
        self._members[member].deadline = max(self._members[member].deadline, self._clock.now + SESSION)
        self.committed.update(offsets)
        for partition, offset in offsets.items():
            self.on_commit(partition, offset)
        self.tell(f"member {member} committed {dict(offsets)}")
        self.commits += 1
        return True

    def rebalance(self) -> None:
        """Have all members join again."""
        if not self.preparing:
            self.preparing = True
            self._loop.call_later(REBALANCE, self._complete, self.generation)

    def _sweep(self) -> None:
        now = self._clock.now
        gone = [member for member, at in self._members.items() if at.answer is None and at.deadline < now]
        for member in gone:
            self.tell(f"member {member} is evicted")
            self.leave(member)
        self._loop.call_later(SESSION / 5, self._sweep)

    def _complete_if_all_joined(self) -> None:
        if self._members and all(each.answer for each in self._members.values()):
            self._complete(self.generation)

    def _complete(self, generation: int) -> None:
        """Begin the next generation with those who joined."""
        if generation != self.generation or not self.preparing:
            return
        self.preparing = False
        self.generation += 1
        joined = {member: each for member, each in self._members.items() if each.answer is not None}
        self._members = joined
        self._assigned = self._assignment(list(joined))
        self.tell(f"generation {self.generation}: {self._assigned}")
        for member, each in joined.items():
            answer, each.answer, each.deadline = each.answer, None, self._clock.now + SESSION
            assert answer is not None
            answer(Joined(member, self.generation, self._assigned[member]))

    def _assignment(self, members: list[int]) -> dict[int, tuple[int, ...]]:
        """Mostly each keeps what it had, within an even share; sometimes all is dealt anew."""
        chance = self._clock.chance
        owner = {} if chance.random() < 0.3 else {p: m for m, own in self._assigned.items() for p in own}
        share = -(-self._partitions // max(len(members), 1))
        dealt: dict[int, list[int]] = {member: [] for member in members}
        for partition in range(self._partitions):
            kept = owner.get(partition)
            if kept in dealt and len(dealt[kept]) < share:
                dealt[kept].append(partition)
            elif members:
                free = [member for member in members if len(dealt[member]) < share]
                dealt[chance.choice(free)].append(partition)
        return {member: tuple(partitions) for member, partitions in dealt.items()}
