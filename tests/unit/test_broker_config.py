"""The embedded broker's properties: plain text on loopback, and the listeners one asks for."""

from pathlib import Path

from stream_engine.local.broker_config import Listener, server_properties


def properties(*listeners: Listener) -> dict[str, str]:
    text = server_properties(data=Path("/data"), port=9092, controller_port=9093, listeners=listeners)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_by_default_it_listens_on_loopback_only() -> None:
    found = properties()
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"


def test_more_listeners_bring_their_protocols_and_options_and_may_send_clients_elsewhere() -> None:
    tls = Listener("TLS", 9094, "SSL", options={"ssl.client.auth": "required"})
    found = properties(tls, Listener("PROXIED", 9095, advertised=9096))
    assert found["listeners"].endswith(",TLS://127.0.0.1:9094,PROXIED://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093")
    assert found["advertised.listeners"].endswith(",TLS://127.0.0.1:9094,PROXIED://127.0.0.1:9096")
    assert "TLS:SSL,PROXIED:PLAINTEXT" in found["listener.security.protocol.map"]
    assert found["ssl.client.auth"] == "required"
