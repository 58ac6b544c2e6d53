"""Faust's side of a table: it is told how far a partition is known, and hands over what it reads of the changelog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import faust
from faust.types import TP

from stream_engine.errors import NewerVersion
from stream_engine.streaming.state_store import StateStore


class BytesTable(faust.Table):
    """A table whose values are in `states`, not in a store of Faust's; whoever writes publishes the records."""

    states: StateStore

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Apply what was read; go no further where it is what a later version of us wrote."""
        try:
            self.states.apply(event.message for event in batch)
        except NewerVersion as newer:
            self.app.outdated(newer)

    def persisted_offset(self, tp: TP) -> int | None:
        """The last record that need not be read; Faust asks at every rebalance."""
        return self.states.applied(tp.partition)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Only these are ours, or followed."""
        await super().on_recovery_completed(active_tps, standby_tps)
        self.states.hold({tp.partition for tp in active_tps | standby_tps})
