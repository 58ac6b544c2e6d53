"""Positions: a chunk lost anywhere on its way is never stepped over."""

from hypothesis import given
from hypothesis import strategies as st

from stream_engine.streaming.positions import Positions

P = ("clicks", 0)


def started(offset: int | None = 10) -> Positions:
    positions = Positions()
    positions.start({P: offset})
    return positions


def test_spans_in_order_move_the_position() -> None:
    positions = started()
    first, second = positions.hand_over(P, 15), positions.hand_over(P, 20)
    assert first is not None
    assert second is not None
    assert positions.is_next(first)
    assert not positions.is_next(second)
    assert positions.done(first)
    assert positions.done(second)
    assert positions.committable() == {P: 20}


def test_a_span_behind_a_dropped_one_is_refused_and_rewound() -> None:
    positions = started()
    positions.hand_over(P, 15)  # dropped on its way
    second = positions.hand_over(P, 20)
    assert second is not None
    assert not positions.done(second)
    assert positions.rewind(P) == {P: 10}
    again = positions.hand_over(P, 15)
    assert again is not None
    assert positions.done(again)


def test_real_gaps_in_the_log_are_allowed() -> None:
    positions = started()
    span = positions.hand_over(P, 400)  # offsets 10..398 were compacted away
    assert span is not None
    assert positions.done(span)


def test_a_span_of_an_older_epoch_is_void() -> None:
    positions = started()
    span = positions.hand_over(P, 15)
    positions.start({P: 10})
    assert span is not None
    assert not positions.is_current(span)
    assert not positions.done(span)
    assert positions.committable() == {}


def test_a_partition_not_owned_hands_nothing_over() -> None:
    positions = started()
    positions.forget([P])
    assert positions.hand_over(P, 15) is None
    assert positions.rewind(P) == {}
    assert positions.undelivered([P]) == {}
    assert positions.next_of(P) is None


def test_the_beginning_of_the_log_is_none() -> None:
    positions = started(None)
    positions.hand_over(P, 3)
    assert positions.rewind(P) == {P: None}
    assert positions.committable() == {}


def test_undelivered_records_are_sought_where_the_last_chunk_ended() -> None:
    positions = started()
    positions.hand_over(P, 15)
    assert positions.undelivered([P]) == {P: 15}


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["process", "drop", "rebalance", "void"])), max_size=60))
def test_whatever_is_dropped_every_offset_is_processed_in_order(steps: list[tuple[int, str]]) -> None:
    positions = started(0)
    cursor, processed = 0, []
    for size, fate in steps:
        end = cursor + size
        span = positions.hand_over(P, end)
        assert span is not None
        begin, cursor = cursor, end
        if fate == "rebalance":
            positions.start({P: positions.next_of(P)})
            cursor = positions.next_of(P) or 0
        elif fate == "void":
            positions.forget([P])
            positions.start({P: len(processed)})
            cursor = len(processed)
        if fate == "drop":
            continue
        if positions.is_next(span):
            processed.extend(range(begin, end))
            assert positions.done(span)
        elif positions.is_current(span):
            cursor = positions.rewind(P)[P] or 0
    assert processed == list(range(len(processed)))
