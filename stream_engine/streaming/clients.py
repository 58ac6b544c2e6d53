"""How our clients reach the broker: one mapping, understood by kafka-python and aiokafka alike."""

from __future__ import annotations

import ssl
from typing import Any

from stream_engine.errors import BadConfiguration
from stream_engine.settings import KafkaSettings


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for any client of theirs; BadConfiguration for credentials that are missing or do not load."""
    options: dict[str, Any] = {
        "bootstrap_servers": servers(kafka),
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        if not kafka.sasl_username:
            raise BadConfiguration("kafka.sasl_username", f"is needed for {kafka.security_protocol}")
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    return options


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """A verifying context: the system's authorities or ours, and our certificate where there is one."""
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca)
    except OSError as error:
        raise BadConfiguration("kafka.ssl_ca", f"{kafka.ssl_ca} does not load: {error}") from error
    if kafka.ssl_certificate is not None:
        try:
            context.load_cert_chain(kafka.ssl_certificate, kafka.ssl_key)
        except OSError as error:
            raise BadConfiguration(
                "kafka.ssl_certificate", f"{kafka.ssl_certificate} does not load: {error}"
            ) from error
    return context


def servers(kafka: KafkaSettings) -> list[str]:
    """The bootstrap servers, each HOST:PORT; BadConfiguration for one that is not."""
    found = [server.strip() for server in kafka.broker.split(",")]
    for server in found:
        if not server.rpartition(":")[2].isdecimal():
            raise BadConfiguration("kafka.broker", f"{server!r} is not HOST:PORT")
    return found
