"""The configuration files of the embedded broker: one node, loopback only, small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listener:
    """One more way in, on loopback: clients that come by `port` are told to connect to `advertised` from then on."""

    name: str
    port: int
    protocol: str = "PLAINTEXT"
    advertised: int = 0  # the port itself
    options: Mapping[str, object] = field(default_factory=dict)  # of the broker, such as listener.name.x.ssl...


def server_properties(*, data: Path, port: int, controller_port: int, listeners: Sequence[Listener] = ()) -> str:
    """Kafka's `server.properties` for a single KRaft node; its own clients come by plain text."""
    plain = Listener("PLAINTEXT", port)
    bound = [plain, *listeners, Listener("CONTROLLER", controller_port)]
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": ",".join(f"{each.name}://127.0.0.1:{each.port}" for each in bound),
        "advertised.listeners": ",".join(
            f"{each.name}://127.0.0.1:{each.advertised or each.port}" for each in (plain, *listeners)
        ),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(f"{each.name}:{each.protocol}" for each in bound),
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "num.partitions": 8,
        "default.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 2_000,  # after a crash a broker waits for its own old session to end
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "message.max.bytes": 1_048_588,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # the default is a quarter of our heap
        "log.index.size.max.bytes": 1024 * 1024,
        "log.segment.bytes": 64 * 1024 * 1024,
    }
    for each in listeners:
        values |= each.options
    return "".join(f"{name}={value}\n" for name, value in values.items())


def log4j2_properties(log: Path) -> str:
    """Log4j 2 into one rolling file of at most two times 10 MB."""
    values = {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": log,
        "appender.file.filePattern": f"{log}.%i",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "10MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": 1,
        "rootLogger.level": "warn",
        "rootLogger.appenderRef.file.ref": "file",
        "logger.server.name": "kafka.server.KafkaRaftServer",
        "logger.server.level": "info",
    }
    return "".join(f"{name} = {value}\n" for name, value in values.items())
