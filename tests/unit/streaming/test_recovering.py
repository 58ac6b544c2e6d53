"""What a fetch brought of a changelog: applied once, in order, by the table that wants it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from harness.records import FakeRecord, record

from stream_engine.streaming.recovering import take

OURS, GONE, FOLLOWED = ("changelog", 0), ("changelog", 1), ("changelog", 2)


class FakeTable:
    """Keeps the values it was given."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []

    def apply_changelog_batch(self, batch: list[Any]) -> None:
        assert all((event.key, event.value) == (event.message.key, event.message.value) for event in batch)
        self.values += [event.value for event in batch]


def recovery_of(table: FakeTable, at: int | None = None) -> Any:
    return SimpleNamespace(
        active_tps={OURS},
        active_offsets=Counter({OURS: at}),
        standby_tps={FOLLOWED},
        standby_offsets=Counter({FOLLOWED: at}),
        tp_to_table=dict.fromkeys((OURS, GONE, FOLLOWED), table),
    )


def found(*offsets: int) -> list[FakeRecord]:
    return [record(offset, b"%d" % offset) for offset in offsets]


def test_a_fetch_is_applied_and_noted() -> None:
    table = FakeTable()
    recovery = recovery_of(table, -1)
    assert take(recovery, OURS, found(0, 1, 5))
    assert take(recovery, OURS, found(6))
    assert table.values == [b"0", b"1", b"5", b"6"]
    assert recovery.active_offsets[OURS] == 6


def test_what_is_read_again_is_not_applied_again() -> None:
    table = FakeTable()
    recovery = recovery_of(table, 5)
    assert take(recovery, OURS, found(4, 5))  # told all the same: it may end the recovery
    assert take(recovery, OURS, found(5, 6))
    assert table.values == [b"6"]


def test_where_nothing_is_known_yet_all_is_applied() -> None:
    table = FakeTable()
    recovery = recovery_of(table)
    assert take(recovery, OURS, found(3))
    assert (table.values, recovery.active_offsets[OURS]) == ([b"3"], 3)


def test_what_is_not_ours_any_more_is_left_alone() -> None:
    table = FakeTable()
    assert not take(recovery_of(table), GONE, found(0))
    assert not take(recovery_of(table), OURS, [])
    assert table.values == []


def test_what_is_followed_has_an_account_of_its_own() -> None:
    table = FakeTable()
    recovery = recovery_of(table, 3)
    assert take(recovery, FOLLOWED, found(3, 4))
    assert (table.values, recovery.standby_offsets[FOLLOWED], recovery.active_offsets[OURS]) == ([b"4"], 4, 3)
