"""A broker with every door Kafka knows: TLS, mutual TLS, SASL with and without TLS; certificates are made here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from harness.certificates import Authority
from stream_engine.local.broker import Broker, start_broker
from stream_engine.local.broker_config import Listener
from stream_engine.local.ports import free_port

USER, PASSWORD = "ann", "s3cret-of-ann"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
DOORS = {"TLS": "SSL", "MUTUAL": "SSL", "PASSWORD": "SASL_PLAINTEXT", "PASSWORDTLS": "SASL_SSL", "OTHERHOST": "SSL"}
_JAAS = "org.apache.kafka.common.security"
_PLAIN = f'{_JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
_SCRAM = f"{_JAAS}.scram.ScramLoginModule required;"
_RIGHTS = {  # who comes without a password may all; others what nobody is named for
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "allow.everyone.if.no.acl.found": "true",
}


@dataclass(frozen=True)
class Secured:
    """The broker, its doors' addresses, and who signs what it believes in."""

    broker: Broker
    doors: dict[str, str]
    authority: Authority
    folder: Path

    def settings(self, door: str, mechanism: str = "PLAIN", **more: Any) -> dict[str, Any]:
        """What `kafka` has to say to come in by a door, with `more` on top."""
        protocol = DOORS[door]
        values: dict[str, Any] = {"broker": self.doors[door], "security_protocol": protocol}
        if protocol.endswith("SSL"):
            values["ssl_ca"] = self.authority.certificate
        if protocol.startswith("SASL"):
            values |= {"sasl_mechanism": mechanism, "sasl_username": USER, "sasl_password": PASSWORD}
        return values | more

    @contextmanager
    def only(
        self, user: str, operation: str, name: str, kind: str = "TOPIC", pattern: str = "LITERAL"
    ) -> Iterator[None]:
        """Inside, soon, nobody who came with a password may do anything there but this user this."""
        place = ResourcePattern(ResourceType[kind], name, ACLResourcePatternType[pattern])
        right = (ACLOperation[operation], ACLPermissionType.ALLOW, place)
        with closing(KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)) as client:
            assert not client.create_acls([ACL(f"User:{user}", "*", *right)])["failed"]
            yield
            client.delete_acls([ACLFilter(f"User:{user}", "*", *right)])


@contextmanager
def secured(folder: Path, cache: Path) -> Iterator[Secured]:
    """A running one; BadConfiguration where Java or Maven is missing."""
    authority = Authority(folder, "authority")
    stores = {name: _store(folder, name, *authority.sign(name, host)) for name, host in _HOSTS.items()}
    listeners = [
        Listener(name, free_port(), protocol, options=_options(name, protocol, stores, authority.certificate))
        for name, protocol in DOORS.items()
    ]
    with start_broker(folder, cache_dir=cache, listeners=listeners) as broker:
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as client:
            for mechanism in MECHANISMS[1:]:
                answer = client.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, PASSWORD)])
                assert answer == {USER: None}
        yield Secured(broker, {each.name: f"127.0.0.1:{each.port}" for each in listeners}, authority, folder)


_HOSTS = {"here": "IP:127.0.0.1", "elsewhere": "DNS:broker.example"}


def _store(folder: Path, name: str, certificate: Path, key: Path) -> Path:
    """Kafka's way to hold both: one PEM file."""
    store = folder / f"{name}.pem"
    store.write_text(key.read_text() + certificate.read_text())
    return store


def _options(name: str, protocol: str, stores: dict[str, Path], authority: Path) -> dict[str, object]:
    options: dict[str, object] = {}
    if protocol.endswith("SSL"):
        options |= {"ssl.keystore.type": "PEM", "ssl.truststore.type": "PEM", "ssl.truststore.location": authority}
        options |= {"ssl.keystore.location": stores["elsewhere" if name == "OTHERHOST" else "here"]}
        options |= {"ssl.client.auth": "required" if name == "MUTUAL" else "none"}
    if protocol.startswith("SASL"):
        options |= {"sasl.enabled.mechanisms": ",".join(MECHANISMS), "plain.sasl.jaas.config": _PLAIN}
        options |= {f"{each.lower()}.sasl.jaas.config": _SCRAM for each in MECHANISMS[1:]}
    return _RIGHTS | {f"listener.name.{name.lower()}.{key}": value for key, value in options.items()}
