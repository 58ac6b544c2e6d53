"""When a worker that left is started again. Pure: times are arguments, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

WRONG_SETTING = 2  # the exit code that no restart mends


@dataclass(frozen=True, slots=True)
class Policy:
    """First wait, longest wait, and how long a run must last to forget earlier failures."""

    first: float = 0.2
    longest: float = 15.0
    healthy_after: float = 30.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker's place: running since `started`, or due to start at `due`."""

    running: bool = False
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    wrong_setting: bool = False


def was_started(slot: Slot, now: float) -> Slot:
    """The slot of a worker that has just been started."""
    return replace(slot, running=True, started=now)


def has_left(slot: Slot, code: int, now: float, policy: Policy) -> Slot:
    """The slot of a worker that has left with `code`: each failure in a row doubles the wait."""
    failures = 1 if now - slot.started >= policy.healthy_after else slot.failures + 1
    wait = min(policy.longest, policy.first * 2.0 ** min(failures - 1, 30))  # 2.0**1024 overflows
    return replace(slot, running=False, due=now + wait, failures=failures, wrong_setting=code == WRONG_SETTING)


def is_due(slot: Slot, now: float) -> bool:
    """Whether to start a worker here now."""
    return not slot.running and not slot.wrong_setting and now >= slot.due
