"""Whom we believe to be the Qdrant server."""

from __future__ import annotations

import ssl

from stream_engine.errors import BadConfiguration
from stream_engine.settings import IndexSettings


def ssl_context(settings: IndexSettings) -> ssl.SSLContext:
    """A verifying context: the system's authorities, or only ours where there is one."""
    try:
        return ssl.create_default_context(cafile=settings.ssl_ca)
    except OSError as error:
        raise BadConfiguration("index.ssl_ca", f"{settings.ssl_ca} does not load: {error}") from error
