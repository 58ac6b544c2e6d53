"""Topics that can wait a little are fetched at most so often: a fetch costs by its partitions, wanted or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from aiokafka.protocol.fetch import FetchRequest

from stream_engine.streaming.intake import LONGEST, Intake

Actions = tuple[list[tuple[int, FetchRequest]], Any, Any, Any, Any]
Ask = Callable[[Any], Actions]
"""What aiokafka's fetcher would do next, by the assignment it is asked about."""


class Pacing:
    """After a fetch of everything, the next `every` seconds are for the topics that cannot wait.

    aiokafka names every partition in a request and again in the answer, most of which is empty: with 40 partitions and
    60 clicks a second a third less CPU was measured in the client. And what comes of a click, fetched as it
    comes, is handled in crumbs. Nor does it look at the partitions that can wait before they are due: that took a third
    of the client's at 700 clicks a second.

    And it asks a broker for nothing, up to a tenth of a second, of which it has anything that nobody took. Where that
    is of a topic that can wait, what cannot is asked for all the same. Nothing is asked for while the intake is closed.
    """

    def __init__(self, patient: AbstractSet[str], every: float, clock: Callable[[], float], intake: Intake) -> None:
        self._patient = patient
        self._intake = intake
        self._every = every
        self._clock = clock
        self._all_asked: set[int] = set()  # nodes whose last fetch was of everything
        self._all_heard: dict[int, float] = {}  # when the last such fetch of a node had ended
        self._urgent = _Urgent(None, frozenset())

    def actions(self, ask: Ask, assignment: Any) -> Actions:
        """What aiokafka's fetcher is to do next, with less to fetch."""
        if (opening := self._intake.opening()) is not None:
            return [], {}, LONGEST, False, [opening]
        if self._urgent.whole is not assignment:
            self._urgent = _Urgent(assignment, self._patient)
            self._all_heard.clear()  # of nodes that may be gone
        now = self._clock()
        whole = not self._urgent.tps or self._is_due(now)
        requests, *others = ask(assignment if whole else self._urgent)
        if whole and not requests and self._urgent.tps:
            whole, (requests, *_) = False, ask(self._urgent)
        return ([(node, self._less(node, request, now, whole=whole)) for node, request in requests], *others)

    def _is_due(self, now: float) -> bool:
        """Whether any node may have to be asked for everything, or be on its way to answer that."""
        return bool(self._all_asked) or now - min(self._all_heard.values(), default=-math.inf) >= self._every

    def _less(self, node: int, request: FetchRequest, now: float, *, whole: bool) -> FetchRequest:
        """The request, or the part of it that cannot wait; a node gets its next once the last has ended."""
        if node in self._all_asked:
            self._all_asked.discard(node)
            self._all_heard[node] = now
        left = self._all_heard.get(node, now - self._every) + self._every - now
        urgent = [(topic, partitions) for topic, partitions in request.topics if topic not in self._patient]
        if (left <= 0 and whole) or not urgent:
            self._all_asked.add(node)
            return request
        left = left if left > 0 else self._every
        wait = min(request._max_wait_ms, math.ceil(left * 1000))  # noqa: SLF001
        return FetchRequest(
            wait,
            request._min_bytes,  # noqa: SLF001
            request._max_bytes,  # noqa: SLF001
            request._isolation_level,  # noqa: SLF001
            urgent,
            rack_id=request._rack_id,  # noqa: SLF001
        )


class _Urgent:
    """The part of an assignment that cannot wait, as the fetcher looks at it."""

    def __init__(self, whole: Any, patient: AbstractSet[str]) -> None:
        self.whole = whole
        self.tps = frozenset(tp for tp in (whole.tps if whole else ()) if tp.topic not in patient)

    def state_value(self, tp: Any) -> Any:
        """What aiokafka knows of this partition."""
        return self.whole.state_value(tp)
