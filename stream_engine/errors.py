"""The three kinds of failure, and the two that stop us: a wrong setting, and a store of a later version."""

from __future__ import annotations


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


class NewerVersion(StreamEngineError):
    """A later version of this package wrote this: refuse to read it, to write over it, and to go on."""

    def __init__(self, what: str, found: int, known: int) -> None:
        super().__init__(f"{what}: version {found} found, and this worker knows {known} at most; upgrade this worker")
        self.what = what
        self.found = found
        self.known = known

    def on(self, topic: str) -> NewerVersion:
        """The same, with the topic where it was found."""
        return NewerVersion(f"topic {topic}: {self.what}", self.found, self.known)
