"""The demo: a real catalogue published, its real interactions replayed at a rate, and what comes back measured."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kafka.consumer.fetcher import ConsumerRecord

from stream_engine.codec import decode_recommendation, encode_interaction, encode_item
from stream_engine.errors import Unavailable
from stream_engine.events import Recommendation
from stream_engine.local.demo_data import Replay
from stream_engine.local.demo_score import Score
from stream_engine.local.stack import Stack
from stream_engine.settings import Settings
from stream_engine.streaming.reading import follow, snapshot
from stream_engine.streaming.sending import Outgoing, sender
from stream_engine.streaming.topics import item_state_topic

ENCODE_WITHIN = 60.0  # seconds without one more item
SETTLE_WITHIN = 30.0  # seconds after the last click
Tick = Callable[[Score, float, float], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast interactions are sent, and for how long."""

    rate: float
    seconds: float

    @property
    def count(self) -> int:
        """How many that makes."""
        return max(1, int(self.rate * self.seconds))


def publish(settings: Settings, replay: Replay, progress: Callable[[int, int], None]) -> None:
    """Send the catalogue and return when every item can be recommended; Unavailable when that comes to a halt."""
    wanted = {item.item_id for item in replay.items}
    if not wanted:
        return
    with sender(settings.kafka) as sending:
        for item in replay.items:
            sending.send(settings.topics.items, Outgoing(item.item_id.encode(), encode_item(item)), name=item.item_id)
    if sending.failed:
        raise Unavailable("kafka.broker", f"{sending.failed} items could not be sent: {sending.failures[0]}")
    total, moved = len(wanted), time.monotonic()
    for record in follow(settings.kafka, item_state_topic(settings.kafka.group), from_beginning=True):
        if record is not None and record.key.decode() in wanted:
            wanted.discard(record.key.decode())
            moved = time.monotonic()
        progress(total - len(wanted), total)
        if not wanted:
            return
        if time.monotonic() > moved + ENCODE_WITHIN:
            raise Unavailable("catalogue", f"{len(wanted)} of {total} items did not appear; see the workers' logs")


def run(stack: Stack, replay: Replay, pace: Pace, tick: Tick) -> tuple[Score, float, float]:
    """Replay, then wait for what is still due; the score, when the replay began, and how many seconds it took."""
    settings, score = stack.settings, Score()
    with answers(settings) as arrived, sender(settings.kafka, linger_ms=0) as sending:
        start = time.monotonic()

        def take(until: float) -> None:
            """Receive until then, at least once round."""
            while True:
                left = until - time.monotonic()
                try:
                    at, recommendation = arrived.get(timeout=max(0.0, left))
                    score.answered(recommendation, at)
                except queue.Empty:
                    return
                if time.monotonic() > until and arrived.empty():
                    return

        for number, event in enumerate(replay.events):
            take(start + number / pace.rate)
            score.sent(event, now := time.monotonic())
            sending.send(settings.topics.clicks, Outgoing(event.user_id.encode(), encode_interaction(event)))
            tick(score, now, now - start)
        sending.flush()
        took = time.monotonic() - start
        deadline = time.monotonic() + SETTLE_WITHIN
        while score.unreflected() and (now := time.monotonic()) < deadline:
            take(now + 0.1)
            tick(score, now, now - start)
        take(time.monotonic() + 0.5)  # one list too many would show now
    return score, start, took


@contextmanager
def answers(settings: Settings) -> Iterator[queue.SimpleQueue[tuple[float, Recommendation]]]:
    """Lists with the moment they arrived, from now on, read by a thread."""
    arrived: queue.SimpleQueue[tuple[float, Recommendation]] = queue.SimpleQueue()
    listening, stopping = threading.Event(), threading.Event()

    def listen() -> None:
        for record in follow(settings.kafka, settings.topics.recommendations):
            listening.set()
            if stopping.is_set():
                return
            if record is not None and record.value is not None:
                arrived.put((time.monotonic(), decode_recommendation(record.value)))

    thread = threading.Thread(target=listen, name="answers", daemon=True)
    thread.start()
    if not listening.wait(15):
        raise Unavailable("kafka.broker", f"topic {settings.topics.recommendations} cannot be read")
    try:
        yield arrived
    finally:
        stopping.set()
        thread.join(5)


def dead_letters(settings: Settings) -> list[ConsumerRecord]:
    """What was refused."""
    return list(snapshot(settings.kafka, settings.topics.dead_letters))
