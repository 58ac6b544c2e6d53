"""Does a broker answer and let us in? Asked once before any client is made: clients try for long, and say less."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.clients import client_options, servers

_SETTING = {
    SaslAuthenticationFailed: "kafka.sasl_password",
    UnsupportedSaslMechanismError: "kafka.sasl_mechanism",
    IllegalSaslStateError: "kafka.security_protocol",
}
_OTHER_HOST = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH


def require_reachable(kafka: KafkaSettings, *, timeout: float = 3.0) -> None:
    """Return when one bootstrap server knows us; waits for the answer, whether or not an event loop runs here.

    Unavailable when none answers Kafka's protocol within `timeout` seconds each; BadConfiguration with the setting that
    the first one refused: certificates and passwords, on either side.
    """
    options = client_options(kafka)
    del options["bootstrap_servers"]
    reasons = []
    for server in servers(kafka):
        try:
            _run(_greet(server, timeout, **options))
        except (OSError, KafkaError) as error:
            refused = _refused(kafka, server, error)
            if refused is not None:
                raise refused from error
            reasons.append(f"{server}: {_words(error)}")
        else:
            return
    advice = "start it, or name another; a listener of another kind needs another kafka.security_protocol"
    raise Unavailable("kafka.broker", f"nothing answers ({'; '.join(reasons)}); {advice}")


def _run(greeting: Coroutine[object, object, None]) -> None:
    """On a thread of its own: the caller's may have a loop that runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, greeting).result()


async def _greet(server: str, within: float, **options: object) -> None:
    host, _, port = server.rpartition(":")
    connection = AIOKafkaConnection(host.strip("[]"), int(port), **options)
    async with asyncio.timeout(within):
        try:
            await connection.connect()
            if not str(options["security_protocol"]).startswith("SASL"):
                await _ask(connection)
        except KafkaError:
            await connection.close()
            raise
        await connection.close()  # TLS says goodbye while the loop runs


async def _ask(connection: AIOKafkaConnection) -> None:
    """A door that wants a password says hello to anyone, and hangs up at the first request."""
    try:
        await connection.send(MetadataRequest([]))
    except KafkaConnectionError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise
        raise IllegalSaslStateError("it hangs up on who does not log in; try SASL_PLAINTEXT or SASL_SSL") from error


def _refused(kafka: KafkaSettings, server: str, error: Exception) -> BadConfiguration | None:
    """The setting at fault, where it is one."""
    said = f"{server} refuses it: {_words(error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        setting = "kafka.broker" if error.verify_code in _OTHER_HOST else "kafka.ssl_ca"
        return BadConfiguration(setting, f"{server} is not to be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return BadConfiguration("kafka.security_protocol", f"{kafka.security_protocol}: {said}")
    if isinstance(error, KafkaConnectionError) and isinstance(error.__cause__, ssl.SSLError):
        return BadConfiguration("kafka.ssl_certificate", f"{server} wants another: {_words(error.__cause__)}")
    return next((BadConfiguration(name, said) for kind, name in _SETTING.items() if isinstance(error, kind)), None)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return f"{error or type(error).__name__}{cause}"
