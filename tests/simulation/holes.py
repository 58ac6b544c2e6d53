"""What keeps clicks from being lost, and the holes of faust.md: each a cure switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from faust.types import TP

from simulation.consumer import SimulatedConsumer
from simulation.plan import ANY, KINDS, ON_ITS_WAY, Conditions
from simulation.stock import StockConsumer, Trusting, WithoutBoth, WithoutGaps, WithoutOffByOne
from stream_engine.streaming.changelogs import Marks
from stream_engine.streaming.positions import Positions
from stream_engine.users import marks


class Hasty(SimulatedConsumer):
    """Seeks, then begins the epoch, and fetches all the while: what came in between is never sought again."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        return await self._thread.getmany(active_partitions, timeout)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        offsets = {tp: offset or 0 for tp, offset in (await self._thread.seek_to_committed()).items()}
        self.positions.start(offsets)
        self.positions.open(self.positions.epoch)
        return offsets


def unmarked(_: bytes) -> Mapping[Any, int]:
    """As if states did not say how far they got: the last record counts."""
    return {}


@dataclass(frozen=True, slots=True)
class Cures:
    """All there is."""

    positions: Callable[[], Positions] = Positions
    consumer: Callable[..., SimulatedConsumer] = SimulatedConsumer
    thread: bool = False  # the client has a loop of its own
    lease: bool = True
    rewrite: bool = True
    marks: Marks = marks
    owners: bool = True  # records say who wrote them
    mending: bool = True  # what is covered is written again


@dataclass(frozen=True, slots=True)
class Hole:
    """Cures with one left out, and the conditions under which it shows that it is this one."""

    cures: Cures
    conditions: Conditions = ANY


ALL = Cures()
NONE = Hole(ALL)
PROMPT = Conditions(kinds=tuple(kind for kind in KINDS if kind not in ON_ITS_WAY), late=False)
STRANGERS = Conditions(kinds=("freeze", "kill", "rebalance", "rebalance"), faults=10, clicks=40, strangers=True)
ZOMBIES = Conditions(kinds=(*ON_ITS_WAY, "kill", "rebalance", "compact"), faults=10, clicks=40)
UNMARKED = Cures(marks=unmarked, owners=False, mending=False)

HOLES = {
    "commits off by one": Hole(Cures(positions=Trusting, consumer=WithoutGaps, thread=True), STRANGERS),
    "gaps that are none": Hole(Cures(positions=Trusting, consumer=WithoutOffByOne, thread=True), STRANGERS),
    "Faust's account": Hole(Cures(positions=Trusting, consumer=StockConsumer, thread=True)),
    "no lease": Hole(replace(UNMARKED, lease=False), PROMPT),
    "no rewriting": Hole(Cures(rewrite=False)),
    "seeks before the epoch": Hole(Cures(consumer=Hasty)),
    "the last record counts": Hole(UNMARKED),
    "states tell, not owners": Hole(Cures(owners=False), ZOMBIES),
    "nothing is written again": Hole(Cures(mending=False), ZOMBIES),
}
CLOSED = {
    "exact commits, no gaps": Hole(Cures(positions=Trusting, consumer=WithoutBoth, thread=True), STRANGERS),
    "a lease, no writes held up": Hole(UNMARKED, PROMPT),
    "owners and mending": Hole(ALL, ZOMBIES),
}
