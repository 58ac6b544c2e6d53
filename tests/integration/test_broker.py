"""The embedded broker: what was written survives a stop and a crash; nothing survives its owner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from stream_engine.errors import BadConfiguration
from stream_engine.local.broker import Broker, start_broker
from stream_engine.local.processes import command_line

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    try:
        running = start_broker(tmp_path, cache_dir=CACHE)
    except BadConfiguration as error:
        pytest.skip(f"no broker: {error}")
    with running:
        yield running


def count(broker: Broker, topic: str) -> int:
    with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap)) as consumer:
        return sum(consumer.end_offsets([TopicPartition(topic, 0)]).values())


def test_same_port_and_data_after_crash_and_restart(own: Broker) -> None:
    before = own.bootstrap
    with closing(KafkaAdminClient(bootstrap_servers=before)) as client:
        client.create_topics({"t": {"num_partitions": 1}}, wait_for_metadata=True)
    with closing(KafkaProducer(bootstrap_servers=before, acks="all")) as producer:
        for number in range(10):
            producer.send("t", str(number).encode()).get(10)
    own.kill()
    assert not own.alive()
    own.restart()
    assert own.bootstrap == before
    assert count(own, "t") == 10
    own.restart()
    assert count(own, "t") == 10


def test_broker_dies_with_its_owner(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from stream_engine.local.broker import start_broker
print(start_broker(Path({str(tmp_path)!r}), cache_dir=Path({str(CACHE)!r})).pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        line = owner.stdout.readline() if owner.stdout else ""
        if not line:
            pytest.skip("no broker: see test_same_port_and_data_after_crash_and_restart")
        pid = int(line)
        assert command_line(pid)
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while command_line(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not command_line(pid)


def test_topics_are_not_created_by_accident(broker: Broker) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as client:
        client.describe_topics(["never-made"])
        assert "never-made" not in client.list_topics()
