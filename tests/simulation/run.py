"""One schedule from beginning to end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.broker import CHANGELOG, CLICKS, Broker, compacted
from simulation.clock import Clock
from simulation.group import SESSION, Group
from simulation.holes import NONE, Cures, Hole
from simulation.plan import ACTIVE, Click, Fault, Plan, draw
from simulation.stage import Disk
from simulation.verdict import Sent, Witness
from simulation.worker import Worker

LASTING = {
    "freeze": "frozen_until",
    "stall": "frozen_until",
    "cut": "cut_until",
    "apart": "apart_until",
    "hold": "held_until",
}
PATIENCE = 15 * SESSION  # until everything is applied and committed, once nothing goes wrong any more


@dataclass(slots=True)
class Result:
    """What a schedule came to: what is lost, doubled or out of order; what stands still may not be lost."""

    seed: int
    plan: Plan
    wrong: list[str] = field(default_factory=list)
    stands_still: bool = False
    story: list[str] = field(default_factory=list)
    left: int = 0
    seconds: float = 0.0

    @property
    def complaints(self) -> list[str]:
        """All that is not as it should be."""
        return [*self.wrong, "not all is applied and committed in the end"] if self.stands_still else self.wrong

    @property
    def failed(self) -> bool:
        """Whether there are any."""
        return bool(self.complaints)


def simulate(seed: int, hole: Hole = NONE) -> Result:
    """Run the schedule of this seed."""
    chance = random.Random(seed)
    result = Result(seed, draw(chance, hole.conditions))
    schedule = Schedule(result, hole.cures, chance)
    try:
        schedule.run()
    finally:
        schedule.close()
    return result


class Schedule:
    """Workers on a broker, and what happens to them."""

    def __init__(self, result: Result, cures: Cures, chance: random.Random) -> None:
        self._result = result
        self._plan = result.plan
        self._cures = cures
        self._clock = Clock(chance)
        self._broker = Broker(self._clock, self._plan.partitions)
        self._broker.tell = self._tell
        self._group = Group(self._clock, self._broker.loop, self._plan.partitions)
        self._group.tell = self._tell
        self._witness = Witness()
        self._broker.on_record, self._group.on_commit = self._witness.on_record, self._witness.on_commit
        self._disks = [Disk() for _ in range(self._plan.workers)]
        self._workers: dict[int, Worker] = {}

    def run(self) -> None:
        """Until all is quiet; then look."""
        loop = self._broker.loop
        for click in self._plan.clicks:
            loop.call_at(click.at, self._click, click)
        for fault in self._plan.faults:
            loop.call_at(fault.at, self._fault, fault)
        for number in range(self._plan.workers):
            loop.call_later(self._clock.chance.uniform(0, SESSION / 2), self._start, number)
        ends = [click.at for click in self._plan.clicks] + [fault.at + fault.seconds for fault in self._plan.faults]
        self._run_until(lambda: self._clock.now > max(ends) + SESSION / 4 and self._quiet())
        self._result.stands_still = not self._quiet()
        self._witness.complain(self._lost(settled=False))
        self._run_until(lambda: not self._lost(settled=True))
        self._witness.complain(self._lost(settled=True))
        self._result.seconds = self._clock.now
        self._result.wrong = self._witness.wrong

    def _run_until(self, reached: Callable[[], bool]) -> None:
        """Go on until it holds, or patience ends."""
        while not reached() and self._clock.now < ACTIVE + PATIENCE:
            for _ in range(50):
                self._clock.step()

    def _lost(self, *, settled: bool) -> list[str]:
        """What a recovery would get wrong; settled, after compaction left the last record of each key."""
        logs = [self._broker.logs.get((CHANGELOG, partition), []) for partition in range(self._plan.partitions)]
        if settled:
            logs = [compacted(log, before=self._clock.now) for log in logs]
        lost = self._witness.lost(logs, self._group, self._cures.marks)
        return lost or self._witness.differing([disk.load("") for disk in self._disks], logs, self._cures.marks)

    def close(self) -> None:
        """End what is left."""
        self._clock.close()

    def _quiet(self) -> bool:
        return all(
            self._group.committed.get(partition, 0) >= self._broker.ends.get((CLICKS, partition), 0)
            for partition in range(self._plan.partitions)
        )

    def _tell(self, what: str) -> None:
        self._result.story.append(f"{self._clock.now:7.3f} {what}")

    def _click(self, click: Click) -> None:
        user, partition = f"u{click.user}", click.user % self._plan.partitions
        for _ in range(click.skips):
            self._broker.skip(CLICKS, partition)
        item = "" if click.erases else f"{user}.{sum(sent.user == user for sent in self._witness.sent)}"
        body = None if click.erases else f'{{"user_id":"{user}","item_id":"{item}"}}'.encode()
        offset = self._broker.append(CLICKS, partition, user.encode(), body)
        self._witness.sent.append(Sent(user, item, partition, offset))
        self._tell(f"{item or f'the end of {user}'} is at {partition}/{offset}")

    def _start(self, number: int) -> None:
        self._tell(f"worker {number} starts")
        self._workers[number] = Worker(
            clock=self._clock,
            broker=self._broker,
            group=self._group,
            name=f"worker {number}",
            disk=self._disks[number],
            cures=self._cures,
            plan=self._plan,
            on_leave=lambda why: self._left(number, why),
        )
        self._workers[number].start()

    def _left(self, number: int, why: str) -> None:
        """Start it again, as a supervisor does."""
        self._tell(f"worker {number} left: {why}")
        self._result.left += 1
        self._broker.loop.call_later(self._clock.chance.uniform(0.05, SESSION), self._start, number)

    def _fault(self, fault: Fault) -> None:
        self._tell(f"{fault.kind} worker {fault.worker} for {fault.seconds:.3f}")
        worker, until = self._workers.get(fault.worker), self._clock.now + fault.seconds
        if fault.kind == "away":
            self._broker.away_until = max(self._broker.away_until, until)
        elif fault.kind == "rebalance":
            self._group.rebalance()
        elif fault.kind == "compact":
            for partition in range(self._plan.partitions):
                self._broker.compact(partition)
        elif worker is None or worker.process.dead:
            return
        elif fault.kind in LASTING:
            worker.process.suffer(LASTING[fault.kind], until)
        elif fault.kind == "kill":
            worker.leave("killed")
        elif fault.kind == "stop":
            worker.stop()
