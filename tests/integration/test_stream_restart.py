"""Workers come and go in order: each hands over what it has, and goes on where it stopped."""

from __future__ import annotations

import signal
import time
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from harness.live import Live, engine, settings_on
from harness.workers import wait_for

from stream_engine.errors import BadConfiguration
from stream_engine.local.broker import Broker, start_broker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CACHE = Path(__file__).parents[2] / ".cache"
TITLES = {f"i{number}": f"thing number {number}" for number in range(30)}


class Crowd:
    """Users of every partition who click; keeps what was sent."""

    def __init__(self, live: Live, size: int = 24) -> None:
        self.live = live
        self.users = [f"user-{number}" for number in range(size)]
        self.sent: Counter[str] = Counter()
        self._turn = count()

    def click(self, rounds: int) -> None:
        """So many clicks of every user."""
        for _ in range(rounds):
            item = f"i{next(self._turn) % len(TITLES)}"
            for user in self.users:
                body = {"user_id": user, "item_id": item}
                self.live.send(self.live.topics.clicks, user, body, flush=False)
                self.sent[user] += 1
        self.live.flush()

    def answered(self, *, supervised: bool = False) -> None:
        """Return when every click is in its user's last list; none is lost, none counted twice."""

        def all_are() -> bool:
            for worker in self.live.workers if supervised else ():
                worker.tend(time.monotonic())
            return self.live.answers.reflects(self.sent)

        wait_for(all_are, "every click in a list", 120)


def owned_by(live: Live, number: int) -> float:
    return live.workers[number].counted('stream_engine_records_total{topic="clicks"}')


def test_sigterm_hands_over_and_a_restart_goes_on(broker: Broker, tmp_path: Path) -> None:
    with engine(tmp_path, settings_on(broker.bootstrap, "restart"), 2) as live:
        live.items(TITLES)
        crowd = Crowd(live)
        crowd.click(5)
        crowd.answered()

        first, second = live.workers
        crowd.click(20)
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        crowd.click(5)
        crowd.answered()  # by the second alone

        first.start()
        wait_for(first.ready, "the first to be back", 120)
        wait_for(
            lambda: (crowd.click(1), time.sleep(0.2), owned_by(live, 0))[-1] > 0, "the first to have its share", 60
        )
        crowd.answered()

        for worker in live.workers:
            worker.signal(signal.SIGTERM)
        assert [first.wait(), second.wait()] == [0, 0]
        repeated, lists = live.answers.repeated, live.answers.times.total()
        crowd.click(5)  # nobody is there
        second.start()
        crowd.answered()
        assert live.answers.repeated == repeated  # after an orderly stop nothing is done again
        assert live.answers.times.total() > lists
        assert live.answers.backwards == 0
        assert live.letters() == []


def test_a_broker_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    try:
        starting = start_broker(tmp_path / "broker", cache_dir=CACHE)
    except BadConfiguration as error:
        pytest.skip(f"no broker: {error}")
    with starting as broker, engine(tmp_path, settings_on(broker.bootstrap, "outage"), 1) as live:
        live.items(TITLES)
        crowd = Crowd(live)
        for bring_back in (broker.restart, lambda: (broker.kill(), broker.start())):
            crowd.click(5)
            with live.disconnected():
                bring_back()
            crowd.click(5)
            crowd.answered(supervised=True)
        assert live.letters() == []
