"""Faust's own account of offsets in place of ours, to see what it loses: one record a message, acknowledged last."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from faust.transport import consumer as consumer_module
from faust.transport.consumer import Consumer
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

from simulation.consumer import SimulatedConsumer
from stream_engine.streaming.chunks import Chunk
from stream_engine.streaming.positions import Positions, Span


def _exact(new_offset: Callable[..., Any]) -> Callable[..., Any]:
    """Faust's rule for what to commit, without its off-by-one, and where nothing is committed yet."""
    source = textwrap.dedent(inspect.getsource(new_offset))
    names = dict(vars(consumer_module))
    for wrong, right in (
        ("min(acked) - committed_offset > 1", "min(acked) - committed_offset > 0"),
        ("committed_offset = self._committed_offset[tp]\n", "committed_offset = self._committed_offset[tp] or 0\n"),
        ("if committed_offset:", "if True:"),
    ):
        assert source.count(wrong) == 1, f"Faust no longer has {wrong!r}"
        source = source.replace(wrong, right)
    exec(source, names)
    return names["_new_offset"]


class Trusting(Positions):
    """Takes whatever comes: Faust alone decides what is processed and what is committed."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[Span, Any] = {}
        self.acknowledge: Callable[[Any], object] = lambda _: None

    def is_current(self, span: Span) -> bool:
        return True

    def accept(self, span: Span) -> bool:
        return True

    def is_behind_a_loss(self, span: Span) -> bool:
        return False

    def done(self, span: Span) -> bool:
        self.acknowledge(self.messages[span])
        return True

    def give_up(self, span: Span) -> None:
        """It is not acknowledged, and that is all."""


class StockConsumer(SimulatedConsumer):
    """What Faust does: records dropped on the way are not sought again, and are gaps of the broker to it."""

    scheduler = DefaultSchedulingStrategy()
    getmany = Consumer.getmany
    _drain_messages = Consumer._drain_messages
    on_partitions_revoked = Consumer.on_partitions_revoked
    _filter_tps_with_pending_acks = Consumer._filter_tps_with_pending_acks
    _new_offset = Consumer._new_offset
    _should_commit = Consumer._should_commit
    _add_gap = Consumer._add_gap

    def __init__(self, app: Any, thread: Any, loop: Any) -> None:
        super().__init__(app, thread, loop)
        self._spans = 0
        self._unacked_messages = set()
        self._waiting_for_ack = None
        app.monitor = SimpleNamespace(track_tp_end_offset=lambda *_: None)
        app.positions.acknowledge = self.ack

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        return await self._thread.getmany(active_partitions, timeout)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return await self._thread.seek_to_committed()

    def highwater(self, tp: TP) -> int:
        return 0

    def _to_message(self, tp: TP, record: Any) -> Any:
        message = super()._to_message(tp, record)
        span = Span((tp.topic, tp.partition), self._spans, 0, record.offset, record.offset + 1)
        self._spans += 1
        self.positions.messages[span] = message
        message.value = [Chunk(span, (record,))]
        return message


class WithoutGaps(StockConsumer):
    """The same, but what is missing is no gap of the broker: its off-by-one is left."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing is noted."""


class WithoutOffByOne(StockConsumer):
    """The same, with the off-by-one closed: gaps that are none are left."""

    _new_offset = _exact(Consumer._new_offset)


class WithoutBoth(WithoutGaps, WithoutOffByOne):
    """Neither; what is lost yet was processed out of order."""
