"""Test, then learn: every click of a log through the engine, some of them asked about first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stream_engine.evaluate.baselines import Panel
from stream_engine.evaluate.log import Log
from stream_engine.evaluate.metrics import place_of
from stream_engine.evaluate.plan import NEW_USER, Plan
from stream_engine.evaluate.tally import CUT, Asked, Tally, surprise
from stream_engine.evaluate.world import World
from stream_engine.events import Received
from stream_engine.ranking.proposed import Candidates
from stream_engine.ranking.sources import BUDGETS

SIZE = 20
CHUNK = 64  # clicks taken in at once where nobody looks
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run over a log gave; `microseconds` of CPU are the median of a click with its list, learning included."""

    tally: Tally
    microseconds: float


class Replay:
    """One run over one log."""

    def __init__(self, log: Log, plan: Plan, world: World, panel: Panel, *, counts: Callable[[Received], bool]) -> None:
        self._log = log
        self._plan = plan
        self._world = world
        self._panel = panel
        self._counts = counts
        self._numbers = {item.item_id: number for number, item in enumerate(log.items)}
        self._ids = [item.item_id for item in log.items]
        self._clicked = 0
        self._durations: list[float] = []
        self._tally = Tally()

    async def run(self, advance: Advance) -> Run:
        """The whole log; `advance` is told how many clicks are done."""
        for asked, chunk in _chunks(self._log.received, set(self._plan.tested)):
            if asked:
                self._note(await self._ask(chunk[0]))
                await self._timed(chunk[0])
            else:
                await self._world.observe(chunk)
            for each in chunk:
                self._panel_learns(each)
            advance(len(chunk))
        return Run(self._tally, float(np.median(self._durations or [0.0])) * 1e6)

    async def _ask(self, each: Received) -> Asked:
        interaction, world = each.interaction, self._world
        item_id = interaction.item_id or ""
        found = await world.propose(interaction.user_id, interaction.timestamp)
        listed = world.listed(found)
        ranked = self._panel.ranked(interaction.user_id, SIZE)
        clicks = [world.clicks(item) for item in listed[:CUT]]
        state = world.state(interaction.user_id)
        return Asked(
            offset=each.source.offset,
            place=place_of(item_id, listed),
            with_slot=place_of(item_id, world.listed(found, explore=world.slot)),
            without_slot=place_of(item_id, world.listed(found, explore=0)),
            baselines={
                name: place_of(item_id, [self._ids[number] for number in best]) for name, best in ranked.items()
            },
            sources=_proposers(found, world.view.row(item_id)),
            listed=tuple(listed[:CUT]),
            surprise=surprise(listed[:CUT], clicks, self._clicked, len(self._ids)),
            new_user=state is None or state.interactions < NEW_USER,
            cold_item=world.clicks(item_id) == 0,
        )

    def _note(self, asked: Asked) -> None:
        plan, tally = self._plan, self._tally
        if asked.offset in plan.sample:
            tally.sample.append(asked)
        if asked.offset in plan.cold:
            tally.cold.append(asked)
        if asked.offset in plan.sample or asked.offset in plan.curve:
            tally.every.append(asked)

    async def _timed(self, each: Received) -> None:
        began = time.process_time()
        await self._world.answer(each)
        if each.source.offset in self._plan.sample:
            self._durations.append(time.process_time() - began)

    def _panel_learns(self, each: Received) -> None:
        number = self._numbers.get(each.interaction.item_id or "")
        if number is not None and self._counts(each):
            self._panel.learn(each.interaction.user_id, number)
            self._clicked += 1


def _chunks(received: Sequence[Received], tested: set[int]) -> Iterator[tuple[bool, Sequence[Received]]]:
    """The log in order: each tested click alone, the others CHUNK at a time."""
    begin = 0
    for place, _ in enumerate(received):
        if place in tested:
            if begin < place:
                yield False, received[begin:place]
            yield True, received[place : place + 1]
            begin = place + 1
        elif place + 1 - begin == CHUNK:
            yield False, received[begin : place + 1]
            begin = place + 1
    if begin < len(received):
        yield False, received[begin:]


def _proposers(found: Candidates, row: int | None) -> dict[str, bool]:
    """Which sources proposed the item within their budgets, of those candidates that no filter removed."""
    places = np.flatnonzero(found.rows == (-1 if row is None else row))
    names = found.proposers(int(places[0])) if len(places) else ()
    return {name: name in names for name in BUDGETS}
