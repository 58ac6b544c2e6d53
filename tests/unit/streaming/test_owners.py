"""Who wrote a record of a changelog, and which records are late."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from harness.records import FakeRecord
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.streaming.changelogs import Sieve
from stream_engine.streaming.owners import KEPT, OWNER, Owners, Token, encode_token, token_of

GOLDEN = Path(__file__).parents[2] / "golden" / "owner-v1.bin"
FORMER, LATTER = Token(0, 3), Token(1, 4)


def unmarked(_: bytes) -> Mapping[str, int]:
    return {}


def test_tokens_of_version_1_decode_for_ever() -> None:
    assert token_of([("other", b""), (OWNER, GOLDEN.read_bytes())], 1 << 40) == Token(4_294_967_301, 77)
    assert encode_token(Token(4_294_967_301, 77)) == GOLDEN.read_bytes()


@given(st.integers(0, 1 << 50), st.integers(0, (1 << 31) - 1))
def test_a_token_comes_back(end: int, generation: int) -> None:
    assert token_of([(OWNER, encode_token(Token(end, generation)))], end) == Token(end, generation)


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x02" * 13, b"\x77" * 13, b"\x00" * 13])
def test_what_is_no_token_that_we_know_counts_as_none(raw: bytes) -> None:
    assert token_of([(OWNER, raw)], 5) is None
    assert token_of([], 5) is None
    assert token_of(None, 5) is None


def test_in_a_copied_changelog_owners_keep_their_order_and_come_before_new_ones() -> None:
    owners = Owners()
    for offset, (end, generation) in enumerate([(5, 1), (5, 1), (900, 2), (900, 2), (4000, 9)]):
        token = token_of([(OWNER, encode_token(Token(end, generation)))], offset)
        assert token is not None
        owners.note(0, token)
        assert not owners.is_late(0, offset, token)
        assert token < Token(5, 1)


Log = list[tuple[Token, int]]
"""Every record of a partition, in order: who wrote it, and whether that owner had been replaced by then."""


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Owners take over one after the other; whoever did may write, and those before may still."""
    owners, log = list[Token](), list[tuple[Token, int]]()
    for generation in range(draw(st.integers(1, 5))):
        owners.append(Token(len(log), generation))
        log += [(owners[-1 - ago], ago) for ago in draw(st.lists(st.integers(0, generation), max_size=4))]
    return log


@given(logs(), st.integers(1, 3))
def test_late_is_what_comes_after_a_record_of_a_later_owner_however_often_it_is_read(log: Log, times: int) -> None:
    owners, late = Owners(), list[bool]()
    for _ in range(times):
        late = []
        for offset, (token, _) in enumerate(log):
            owners.note(0, token)
            late.append(owners.is_late(0, offset, token))
    for offset, (token, replaced) in enumerate(log):
        assert not late[offset] or replaced, "an owner is never late"
        if any(before > token for before, _ in log[:offset]):
            assert late[offset]


@given(logs())
def test_who_took_over_knows_what_is_late_before_anything_is_written(log: Log) -> None:
    owners = Owners()
    for token in sorted({token for token, _ in log}):
        owners.note(0, token)
    for offset, (token, replaced) in enumerate(log):
        known = [other for other, _ in log if other > token and other.end <= offset]
        assert owners.is_late(0, offset, token) == bool(known), replaced


def test_of_ever_new_owners_the_latest_are_known() -> None:
    owners, latest = Owners(), 10_000
    for generation in range(latest):
        owners.note(0, Token(10 * generation, generation))
    assert len(owners._known[0]) == KEPT
    assert owners.is_late(0, 10 * latest, Token(10 * latest - 20, latest - 2))
    assert not owners.is_late(0, 10 * latest, Token(10 * latest - 10, latest - 1))


def sieve(*records: tuple[str, Token | None]) -> tuple[Sieve, list[bool]]:
    """The sieve after records of these keys and owners, and which it took."""
    made = Sieve(unmarked)
    return made, [made.takes(on_log(offset, *each), b"") for offset, each in enumerate(records)]


def on_log(offset: int, key: str, token: Token | None, partition: int = 0) -> FakeRecord:
    headers = [(OWNER, encode_token(token))] if token else []
    return FakeRecord(offset, b"", key.encode(), headers, partition=partition)


def test_what_comes_after_a_later_owner_is_late_whatever_its_key() -> None:
    made, taken = sieve(("u", FORMER), ("u", LATTER), ("u", FORMER), ("v", FORMER), ("w", LATTER))
    assert taken == [True, True, False, False, True]
    assert made.covered == {b"u": 0, b"v": 0}


def test_what_is_written_again_is_covered_no_more() -> None:
    made, _ = sieve(("u", FORMER), ("u", LATTER), ("u", FORMER), ("u", LATTER))
    assert made.covered == {}


def test_a_record_without_an_owner_is_not_late() -> None:
    """A worker of a former version may own the partition, in a rolling upgrade."""
    assert sieve(("u", FORMER), ("u", LATTER), ("u", None))[1] == [True, True, True]


def test_an_owner_who_wrote_nothing_yet_is_known_as_well() -> None:
    made, _ = sieve(("u", FORMER))
    made.owners.note(0, LATTER)
    assert not made.takes(on_log(1, "u", FORMER), b"")
    assert made.takes(on_log(1, "u", FORMER, partition=1), b""), "another partition"
    assert made.takes(on_log(0, "u", FORMER), b""), "read again from the beginning"
