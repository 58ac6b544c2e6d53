"""A worker whose fetch stands still looks healthy to Kafka: only progress tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_engine.streaming.positions import Partition


@dataclass(frozen=True, slots=True)
class Progress:
    """Where each partition stood when it last moved or had nothing to read, and when that was."""

    seen: Mapping[Partition, tuple[int, float]] = field(default_factory=dict)

    def note(self, now: float, finished: Mapping[Partition, int], ends: Mapping[Partition, int]) -> Progress:
        """After a look at monotonic time `now`: offsets finished, and the ends of the log."""
        return Progress(
            {
                partition: self._since(partition, offset, now, lag=ends.get(partition, offset) - offset)
                for partition, offset in finished.items()
            }
        )

    def _since(self, partition: Partition, offset: int, now: float, *, lag: int) -> tuple[int, float]:
        before, since = self.seen.get(partition, (offset, now))
        return (offset, since) if lag > 0 and before == offset else (offset, now)

    def stuck(self, now: float, patience: float) -> list[Partition]:
        """Partitions that had records to read and did not move for more than `patience` seconds."""
        return [partition for partition, (_, since) in self.seen.items() if now - since > patience]
