"""What the demo measures, from outside: only from what it sent and what came back. Times are arguments, in seconds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stream_engine.events import Interaction, Recommendation

TOP = 10
RATE_WINDOW = 5.0


class Trending:
    """The most interacted with, each interaction losing half its weight every `half_life` later ones."""

    def __init__(self, half_life: float = 1_000.0) -> None:
        self._growth = 2.0 ** (1.0 / half_life)
        self._unit = 1.0
        self._weights: dict[str, float] = {}
        self.top: list[str] = []

    def add(self, item_id: str) -> None:
        """Count one; instead of old weights shrinking, new ones grow, so only this item can rise."""
        self._unit *= self._growth
        self._weights[item_id] = self._weights.get(item_id, 0.0) + self._unit
        candidates = self.top if item_id in self.top else [*self.top, item_id]
        self.top = sorted(candidates, key=self._weights.__getitem__, reverse=True)[:TOP]
        if self._unit > 1e100:
            self._weights = {name: weight / self._unit for name, weight in self._weights.items()}
            self._unit = 1.0


@dataclass(frozen=True, slots=True)
class Test:
    """One click that followed a list: whether its item was among the list's first ten, and among the trending ten."""

    at: float
    hit: bool
    trending_hit: bool


@dataclass(slots=True)
class Score:
    """Everything sent and received so far."""

    clicks: Counter[str] = field(default_factory=Counter)
    lists: dict[str, Recommendation] = field(default_factory=dict)
    received: int = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)  # when answered, seconds it took
    tests: list[Test] = field(default_factory=list)
    _pending: dict[str, deque[tuple[str, float]]] = field(default_factory=dict)
    _event_ids: set[str] = field(default_factory=set)
    _sent_at: deque[float] = field(default_factory=deque)
    _received_at: deque[float] = field(default_factory=deque)
    _trending: Trending = field(default_factory=Trending)

    def sent(self, event: Interaction, now: float) -> None:
        """An interaction goes out now: test what was shown just before, then count it."""
        self._sent_at.append(now)
        if event.event_id is None or event.event_id in self._event_ids:
            return  # the engine counts a repeated id once
        self._event_ids.add(event.event_id)
        if event.item_id is not None:
            shown = self.lists.get(event.user_id)
            if shown is not None:
                hit = any(item.item_id == event.item_id for item in shown.items[:TOP])
                self.tests.append(Test(now, hit, event.item_id in self._trending.top))
            self._trending.add(event.item_id)
        self.clicks[event.user_id] += 1
        self._pending.setdefault(event.user_id, deque()).append((event.event_id, now))

    def answered(self, recommendation: Recommendation, now: float) -> None:
        """A list came back now: it answers this user's clicks up to its trigger."""
        self.received += 1
        self._received_at.append(now)
        user = recommendation.user_id
        known = self.lists.get(user)
        if known is None or recommendation.interactions >= known.interactions:
            self.lists[user] = recommendation
        waiting = self._pending.get(user, deque())
        if any(event_id == recommendation.trigger.event_id for event_id, _ in waiting):
            reached = False
            while not reached:
                event_id, sent = waiting.popleft()
                self.latencies.append((now, now - sent))
                reached = event_id == recommendation.trigger.event_id

    def featured(self) -> Recommendation | None:
        """The list of the user who has clicked most."""
        users = (user for user, _ in self.clicks.most_common() if user in self.lists)
        return next((self.lists[user] for user in users), None)

    def unreflected(self) -> list[str]:
        """Users whose last list does not reflect exactly the clicks sent for them."""
        return [user for user, count in self.clicks.items() if not self._reflects(user, count)]

    def rates(self, now: float) -> tuple[float, float]:
        """Events sent and lists received per second, over the last few seconds."""
        return _rate(self._sent_at, now), _rate(self._received_at, now)

    def hit_rates(self) -> tuple[float, float]:
        """Share of tested clicks that were in the user's list, and in the trending one; 0 before the first test."""
        tested = max(1, len(self.tests))
        return sum(t.hit for t in self.tests) / tested, sum(t.trending_hit for t in self.tests) / tested

    def latency_ms(self) -> dict[str, float]:
        """Median, 90th and 99th percentile from click sent to list received."""
        values = sorted(seconds * 1000 for _, seconds in self.latencies)
        return {f"p{share}": round(percentile(values, share), 1) for share in (50, 90, 99)}

    def _reflects(self, user: str, count: int) -> bool:
        shown = self.lists.get(user)
        return shown is not None and shown.interactions == count


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def _rate(times: deque[float], now: float) -> float:
    while times and times[0] < now - RATE_WINDOW:
        times.popleft()
    return len(times) / min(RATE_WINDOW, max(1.0, now - times[0])) if times else 0.0


def summary(
    score: Score, *, seconds: float, dead_letters: int, broker: str, index: str, model: str
) -> dict[str, object]:
    """The demo's result, as its JSON."""
    hit_rate, trending = score.hit_rates()
    clicks = score.clicks.total()
    return {
        "clicks": clicks,
        "recommendations": score.received,
        "users": len(score.clicks),
        "dead_letters": dead_letters,
        "clicks_per_second": round(clicks / seconds, 1) if seconds > 0 else 0.0,
        "latency_ms": score.latency_ms(),
        "hit_rate_at_10": round(hit_rate, 4),
        "trending_hit_rate_at_10": round(trending, 4),
        "broker": broker,
        "index": index,
        "model": model,
    }


def running_mean(values: Iterable[bool]) -> list[float]:
    """The mean of all values so far, at each."""
    means, total = [], 0
    for count, value in enumerate(values, 1):
        total += value
        means.append(total / count)
    return means
