"""A tour goes round a table, some places at a time."""

from __future__ import annotations

from stream_engine.streaming.forgetting import Tour
from stream_engine.streaming.stages import FakeTable


def test_each_is_met_once_a_round_in_order_and_what_is_new_in_the_next() -> None:
    table = FakeTable()
    for number in range(5):
        table.write(b"%d" % number, b"", 0)
    tour = Tour(table)
    assert tour.has_ended
    assert tour.next(2) == [(b"0", 0), (b"1", 0)]
    table.write(b"new", b"", 1)
    assert tour.next(0) == []
    assert not tour.has_ended
    assert tour.next(9) == [(b"2", 0), (b"3", 0), (b"4", 0)]
    assert tour.has_ended
    assert tour.next(9)[-1] == (b"new", 1)
