"""What stock Faust loses when an agent's body raises, on a real broker, and that a worker of ours does not: about 40 s.

Where the stock half fails, Faust was cured: see what of ours can go.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from harness.live import Live, settings_on
from harness.workers import cluster, wait_for
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream_engine.local.broker import Broker
from stream_engine.local.processes import spawn, stop_all
from stream_engine.streaming.admin import create_or_verify

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STOCK = """
import os
import sys

import faust

app = faust.App(os.environ["NAME"], broker="kafka://" + os.environ["BROKER"], store="memory://", topic_partitions=1,
                web_enabled=False, consumer_auto_offset_reset="earliest", datadir=os.environ["DATA"])
clicks = app.topic(os.environ["NAME"] + "-clicks", value_type=bytes, value_serializer="raw", partitions=1)
table = app.Table("clicks", default=int, partitions=1)


def saw(*clicks):
    with open(os.environ["SAW"], "a") as file:
        print("saw", *clicks, file=file)


async def one_by_one(stream):
    async for click in stream:
        saw(click)
        if click == b"bad" and os.environ["BUG"]:
            raise ValueError("a bug")
        table[click.decode()] += 1


async def in_batches(stream):
    async for batch in stream.take(3, within=1):
        saw(*batch)
        if os.environ["BUG"]:
            table["all"] += len(batch)


app.agent(clicks)({"one": one_by_one, "take": in_batches}[os.environ["WAY"]])
if __name__ == "__main__":
    sys.argv[1:] = ["worker", "-l", "error"]
    app.main()
"""

BUGGY = """
import stream_engine.engine as module

advance = module.advance

def failing(state, received, *rest, **named):
    if "bad" in repr(received):
        raise ValueError("a bug")
    return advance(state, received, *rest, **named)

module.advance = failing
from stream_engine.cli.main import run

run()
"""


class Stock:
    """One stock Faust app, started with and without its bug."""

    def __init__(self, folder: Path, broker: str, name: str, way: str) -> None:
        self.folder = folder
        self.partition = TopicPartition(f"{name}-clicks", 0)
        self._broker = broker
        self._name = name
        self._names = {"NAME": name, "BROKER": broker, "WAY": way, "DATA": str(folder / "data")}
        self.script = folder / "stock.py"
        self.script.write_text(STOCK)

    @contextmanager
    def running(self, log: str, *, bug: bool) -> Iterator[Path]:
        """What it says, until it is stopped as a supervisor would."""
        environment = {**os.environ, **self._names, "BUG": "yes" if bug else "", "SAW": str(self.folder / log)}
        process = spawn([sys.executable, str(self.script)], log=self.folder / log, environment=environment)
        try:
            yield self.folder / log
        finally:
            stop_all([process], grace=10)

    def send(self, *clicks: bytes) -> None:
        """Send them in order."""
        with closing(KafkaProducer(bootstrap_servers=self._broker, acks="all")) as producer:
            for click in clicks:
                producer.send(self.partition.topic, click, partition=0)
            producer.flush(30)

    def committed(self) -> int:
        """The offset that a restart goes on from."""
        with closing(KafkaConsumer(bootstrap_servers=self._broker, group_id=self._name)) as consumer:
            return consumer.committed(self.partition) or 0


@pytest.mark.parametrize(("way", "raised"), [("one", "a bug"), ("take", "Cannot modify table key")])
def test_stock_faust_acknowledges_what_its_agent_raised_on(
    broker: Broker, create_topics: Callable[..., None], prefix: str, tmp_path: Path, way: str, raised: str
) -> None:
    create_topics(f"{prefix}-clicks", partitions=1)
    stock = Stock(tmp_path, broker.bootstrap, prefix, way)
    stock.send(b"first", b"bad", b"third")
    with stock.running("buggy.log", bug=True) as log:
        wait_for(lambda: "b'third'" in log.read_text(), "the third click", 25)
        wait_for(lambda: stock.committed() == 3, "the failed click to be acknowledged", 20)
        assert raised in log.read_text()
    with stock.running("cured.log", bug=False) as log:
        stock.send(b"fourth")
        # where the first had to be killed, its group waits a session for it
        wait_for(lambda: "b'fourth'" in log.read_text(), "the fourth click", 90)
        assert "b'bad'" not in log.read_text(), "seen again: Faust was cured of it"


def test_a_worker_of_ours_keeps_the_click_it_failed_on_and_counts_the_others(broker: Broker, tmp_path: Path) -> None:
    settings = settings_on(broker.bootstrap, "traps", partitions=1)
    create_or_verify(settings)
    with (
        cluster(tmp_path, settings, 1, command=[sys.executable, "-c", BUGGY, "worker"]) as workers,
        closing(Live(settings, workers)) as live,
    ):
        live.click("ann", "first", "bad", "third")
        live.list_of("ann", 2)
        wait_for(live.letters, "the letter")
        (letter,) = live.letters()
        assert b'"bad"' in (letter.value or b"")
        assert letter.error == "ValueError"
        assert "a bug" in letter.message
        assert workers[0].codes == []
