"""What somebody else wrote between our records."""

from __future__ import annotations

from stream_engine.streaming.gaps import Gap, Gaps


def taken_over(end: int) -> Gaps:
    gaps = Gaps()
    gaps.begin(0, end)
    return gaps


def test_without_strangers_there_are_no_gaps() -> None:
    gaps = taken_over(3)
    for offset in (3, 4, 5):
        gaps.note_written(0, offset)
    gaps.note_end(0, 6)
    gaps.note_end(0, 4)  # of a while ago
    gaps.note_written(0, 2)
    gaps.note_end(0, 6)
    assert gaps.open == []


def test_what_we_did_not_write_is_a_gap_once() -> None:
    gaps = taken_over(3)
    for offset in (5, 6, 9):
        gaps.note_written(0, offset)
    for _ in range(2):
        gaps.note_end(0, 12)
    assert gaps.open == [Gap(0, 3, 5), Gap(0, 7, 9), Gap(0, 10, 12)]


def test_of_what_is_not_ours_nothing_is_known() -> None:
    gaps = taken_over(3)
    gaps.note_end(1, 12)
    assert gaps.open == []


def test_whoever_takes_over_has_read_all_there_is() -> None:
    gaps = taken_over(3)
    gaps.begin(1, 3)
    gaps.note_end(0, 5)
    gaps.note_end(1, 5)
    gaps.begin(0, 8)
    gaps.note_end(0, 8)
    assert gaps.open == [Gap(1, 3, 5)]
