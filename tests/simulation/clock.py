"""Simulated time: every process has event loops of its own, and one step runs one iteration of one of them."""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from itertools import chain
from typing import Any

STEP = 0.0004  # seconds a callback takes at most


class Process:
    """Loops that freeze and die together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen_until = 0.0
        self.cut_until = 0.0
        self.apart_until = 0.0  # cut off from the group's coordinator
        self.held_until = 0.0  # what it writes is on its way until then

    def suffer(self, name: str, until: float) -> None:
        """One of these lasts until then."""
        setattr(self, name, max(getattr(self, name), until))


class Loop(asyncio.AbstractEventLoop):
    """An event loop in simulated time, run by the clock, first come first served."""

    def __init__(self, clock: Clock, process: Process) -> None:
        self._clock = clock
        self.process = process
        self.ready: deque[asyncio.Handle] = deque()
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.failures: list[dict[str, Any]] = []

    def run(self) -> None:
        """One iteration: what is ready now, timers that are due included."""
        ready, timers, clock, process = self.ready, self.timers, self._clock, self.process
        while timers and timers[0][0] <= clock.now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
                clock.now += STEP * clock.random()
                if process.dead or process.frozen_until > clock.now:
                    return

    def time(self) -> float:
        return self._clock.now

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._clock.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self.timers, (when, self._clock.ticket(), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # whoever dies leaves tasks behind
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.process.dead:
            self.failures.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Dropped when it is due."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


class Clock:
    """Runs all loops in the order of simulated time; where several are due at once, chance decides."""

    def __init__(self, chance: random.Random) -> None:
        self.now = 0.0
        self.chance = chance
        self.random = chance.random
        self.loops: list[Loop] = []
        self._made: list[Loop] = []
        self._running: Loop | None = None
        self._tickets = 0

    def ticket(self) -> int:
        """A number that rises: who came first."""
        self._tickets += 1
        return self._tickets

    def loop(self, process: Process) -> Loop:
        """A new loop of this process."""
        made = Loop(self, process)
        self.loops.append(made)
        self._made.append(made)
        return made

    def step(self) -> None:
        """Run one iteration of one living process's loop."""
        now, first, able = self.now, float("inf"), []
        for loop in self.loops:
            if not loop.ready and not loop.timers:
                continue
            due = now if loop.ready else loop.timers[0][0]
            due = max(due, loop.process.frozen_until)
            if due <= now:
                able.append(loop)
            elif due < first:
                first, earliest = due, loop
        if not able:
            self.now, loop = first, earliest
        else:
            loop = able[0] if len(able) == 1 else able[int(self.random() * len(able))]
        if loop is not self._running:
            self._running = loop
            events._set_running_loop(loop)
        loop.run()

    def close(self) -> None:
        """End whatever is still waiting for something."""
        events._set_running_loop(None)
        for task in chain.from_iterable(loop.tasks for loop in self._made):
            with suppress(RuntimeError):  # what awaits on its way out
                task.get_coro().close()

    def forget(self, process: Process) -> None:
        """Never run this process again."""
        process.dead = True
        self.loops = [loop for loop in self.loops if loop.process is not process]
