"""The three kinds of failure, and the one that stops us before we start."""


class StreamEngineError(Exception):
    """Any failure this package raises on purpose."""


class PoisonEvent(StreamEngineError):
    """The event's own fault: it goes to the dead letters now, and the stream goes on."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Unavailable(StreamEngineError):
    """A dependency's fault: degrade or hold the event, retry, never dead-letter."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency
        self.reason = reason


class BadConfiguration(StreamEngineError):
    """A setting is wrong: refuse to start and name it."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason
