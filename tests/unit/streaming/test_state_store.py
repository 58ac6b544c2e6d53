"""What a worker holds of a table: what it takes of a changelog, how far it is known, and what is to be saved of it."""

from __future__ import annotations

import pytest
from harness.records import FakeRecord

from stream_engine.errors import NewerVersion
from stream_engine.streaming.gaps import Gap
from stream_engine.streaming.owners import OWNER, Token, encode_token, token_of
from stream_engine.streaming.state_store import Saved, StateStore
from stream_engine.users import UserState, encode_state, marks

FORMER, LATTER = Token(0, 3), Token(0, 4)
OLD, NEW = (encode_state(UserState(watermarks=(("clicks", 0, offset),))) for offset in (4, 9))


@pytest.fixture
def store() -> StateStore:
    return StateStore("changelog", marks, version=1, saved=True)


def said(offset: int, key: bytes, value: bytes | None, owner: Token | None = None, partition: int = 0) -> FakeRecord:
    """A record of the changelog."""
    headers = [(OWNER, encode_token(owner))] if owner else []
    return FakeRecord(offset, value, key, headers, "changelog", partition)


def test_a_table_keeps_bytes_and_nothing_of_what_is_deleted(store: StateStore) -> None:
    sent = store.write(b"u", b"\x01state", 1)
    assert (sent.topic, sent.key, sent.value, sent.partition) == ("changelog", b"u", b"\x01state", 1)
    store.write(b"v", b"other", 2)
    assert (store.read(b"u", 1), store.read(b"u", 2)) == (b"\x01state", None)
    assert store.places() == [(b"u", 1), (b"v", 2)]
    assert store.write(b"v", None, 2).value is None
    assert store.write(b"v", None, 2).value is None
    assert (store.read(b"v", 2), store.places()) == (None, [(b"u", 1)])


def test_the_same_key_may_be_in_two_partitions(store: StateStore) -> None:
    store.apply([said(0, b"u", OLD, partition=0), said(0, b"u", NEW, partition=1)])
    store.write(b"u", None, 0)
    assert (store.read(b"u", 0), store.read(b"u", 1)) == (None, NEW)


def test_what_goes_back_is_left_out(store: StateStore) -> None:
    store.apply([said(0, b"u", NEW), said(1, b"u", OLD), said(2, b"v", OLD)])
    assert (store.read(b"u", 0), store.read(b"v", 0), store.sieve.covered) == (NEW, OLD, {b"u": 0})
    store.apply([said(3, b"u", NEW), said(4, b"v", None)])
    assert (store.read(b"u", 0), store.read(b"v", 0), store.sieve.covered) == (NEW, None, {})


def test_what_a_former_owner_wrote_late_is_left_out(store: StateStore) -> None:
    store.apply([said(0, b"u", OLD, FORMER), said(1, b"u", None, LATTER)])
    store.apply([said(2, b"u", OLD, FORMER), said(3, b"v", OLD, FORMER)])
    assert (store.read(b"u", 0), store.read(b"v", 0)) == (None, None)
    assert store.sieve.covered == {b"u": 0, b"v": 0}


def test_nothing_of_a_later_version_is_taken(store: StateStore) -> None:
    with pytest.raises(NewerVersion, match="changelog: version 2 found"):
        store.apply([said(0, b"u", b"\x02\x90")])
    with pytest.raises(NewerVersion, match="changelog: version 2 found"):
        store.restore(0, Saved({b"u": b"\x02\x90"}, 0, ()))
    assert store.read(b"u", 0) is None


def test_an_owner_says_so_in_its_records(store: StateStore) -> None:
    store.own(0, Token(7, 5))
    assert token_of(store.write(b"u", OLD, 0).headers, 100) == Token(7, 5)
    assert store.applied(0) == 6


def test_how_far_it_is_known_stops_where_somebody_else_wrote(store: StateStore) -> None:
    store.own(0, Token(7, 5))
    for offset in (7, 8, 10, 11):  # 9 is somebody else's
        store.note_written(0, offset)
    assert (store.applied(0), store.gaps.open) == (8, [Gap(0, 9, 10)])


def test_of_what_is_not_held_nothing_is_known(store: StateStore) -> None:
    store.apply([said(3, b"u", OLD)])
    store.sieve.covered[b"v"] = 0
    store.hold({1})
    assert (store.applied(0), store.read(b"u", 0), store.held()) == (None, None, frozenset())
    assert (store.changes(0, 10), store.sieve.covered) == (None, {})


def test_what_changed_comes_in_parts_and_how_far_with_the_last(store: StateStore) -> None:
    store.apply([said(at, b"%d" % at, OLD, LATTER) for at in range(3)])
    first, second = store.changes(0, 2), store.changes(0, 2)
    assert first is not None
    assert second is not None
    assert (len(first.values), first.applied, first.anew) == (2, None, True)
    assert (len(second.values), second.applied, second.anew, second.owners) == (1, 2, False, (LATTER,))
    assert store.changes(0, 2) is None
    store.own(0, Token(5, 5))  # a tombstone compaction took, say
    assert store.changes(0, 2) == Saved({}, 4, (LATTER, Token(5, 5)))
    store.write(b"0", None, 0)
    assert store.changes(0, 2) == Saved({b"0": None}, 4, (LATTER, Token(5, 5)))


def test_while_something_is_covered_it_is_not_said_how_far(store: StateStore) -> None:
    store.apply([said(0, b"u", NEW), said(1, b"u", OLD)])
    found = store.changes(0, 10)
    assert found is not None
    assert (found.values, found.applied) == ({b"u": NEW}, None)
    store.apply([said(2, b"u", NEW)])
    found = store.changes(0, 10)
    assert found is not None
    assert found.applied == 2


def test_what_could_not_be_saved_is_all_told_again(store: StateStore) -> None:
    store.apply([said(at, b"%d" % at, OLD) for at in range(3)])
    before = store.changes(0, 10)
    store.save_anew(0)
    assert store.changes(0, 10) == before
    store.save_anew(1)
    assert store.changes(1, 10) is None


def test_what_was_restored_goes_on_where_it_was(store: StateStore) -> None:
    store.restore(0, Saved({b"u": NEW, b"v": OLD}, 7, (LATTER,)))
    assert (store.read(b"u", 0), store.applied(0), store.changes(0, 10)) == (NEW, 7, None)
    store.apply([said(8, b"u", OLD, FORMER), said(9, b"v", None, LATTER)])
    assert (store.read(b"u", 0), store.read(b"v", 0), store.sieve.covered) == (NEW, None, {b"u": 0})


def test_what_is_ahead_of_how_far_it_is_ends_where_it_was_when_read_again(store: StateStore) -> None:
    store.restore(0, Saved({b"u": NEW}, 3, (FORMER,)))
    store.apply([said(4, b"u", OLD, FORMER), said(5, b"v", OLD, FORMER), said(6, b"u", NEW, FORMER)])
    assert (store.read(b"u", 0), store.read(b"v", 0), store.applied(0)) == (NEW, OLD, 6)


def test_where_nobody_saves_nothing_is_remembered_for_it() -> None:
    store = StateStore("changelog", marks, version=1)
    store.apply([said(0, b"u", OLD)])
    found = store.changes(0, 10)
    assert found is not None
    assert found.values == {}
