"""Positions: a chunk lost anywhere on its way is never stepped over."""

from hypothesis import given
from hypothesis import strategies as st

from stream_engine.streaming.positions import Positions

P = ("clicks", 0)


def started(offset: int = 10) -> Positions:
    positions = Positions()
    positions.start({P: offset})
    return positions


def test_spans_in_order_move_the_position() -> None:
    positions = started()
    first, second = positions.hand_over(P, 15, since=positions.epoch), positions.hand_over(P, 20, since=positions.epoch)
    assert first is not None
    assert second is not None
    assert not positions.accept(second)
    assert positions.accept(first)
    assert positions.accept(second)
    assert positions.committable() == {}
    assert positions.done(first)
    assert positions.done(second)
    assert positions.committable() == {P: 20}


def test_a_span_behind_a_dropped_one_is_refused_and_rewound() -> None:
    positions = started()
    positions.hand_over(P, 15, since=positions.epoch)  # dropped on its way
    second = positions.hand_over(P, 20, since=positions.epoch)
    assert second is not None
    assert not positions.accept(second)
    assert positions.rewind(P) == {P: 10}
    again = positions.hand_over(P, 15, since=positions.epoch)
    assert again is not None
    assert positions.accept(again)


def test_an_accepted_span_given_up_is_handed_over_again() -> None:
    positions = started()
    first = positions.hand_over(P, 15, since=positions.epoch)
    assert first is not None
    assert positions.accept(first)
    positions.give_up(first)
    second = positions.hand_over(P, 20, since=positions.epoch)
    assert second is not None
    assert not positions.accept(second)
    assert positions.rewind(P) == {P: 10}


def test_what_an_older_turn_handed_over_is_dropped_without_another_rewind() -> None:
    positions = started()
    _, second, third = (positions.hand_over(P, end, since=positions.epoch) for end in (15, 20, 25))
    assert second is not None
    assert third is not None
    assert positions.is_behind_a_loss(second)
    positions.rewind(P)
    assert not positions.is_behind_a_loss(third)
    assert not positions.accept(third)


def test_what_was_fetched_before_a_turn_began_is_not_handed_over() -> None:
    positions = started()
    since = positions.epoch
    positions.rewind(P)
    assert positions.hand_over(P, 15, since=since) is None
    assert positions.undelivered([P]) == {P: 10}


def test_a_chunk_in_hand_can_end_though_its_partition_was_rewound() -> None:
    positions = started()
    first = positions.hand_over(P, 15, since=positions.epoch)
    assert first is not None
    assert positions.accept(first)
    assert positions.rewind(P) == {P: 15}
    assert positions.done(first)
    assert positions.committable() == {P: 15}


def test_nothing_is_accepted_once_closed_until_an_epoch_begins() -> None:
    positions = started()
    first, second = (positions.hand_over(P, end, since=positions.epoch) for end in (15, 20))
    assert first is not None
    assert second is not None
    assert positions.accept(first)
    positions.close()
    assert not positions.accept(second)
    assert not positions.is_behind_a_loss(second)
    assert positions.done(first)
    positions.start({P: 15})
    again = positions.hand_over(P, 20, since=positions.epoch)
    assert again is not None
    assert positions.accept(again)


def test_real_gaps_in_the_log_are_allowed() -> None:
    positions = started()
    span = positions.hand_over(P, 400, since=positions.epoch)  # offsets 10..398 were compacted away
    assert span is not None
    assert positions.accept(span)
    assert positions.done(span)
    assert positions.committable() == {P: 400}


def test_a_span_of_an_older_epoch_is_void() -> None:
    positions = started()
    span = positions.hand_over(P, 15, since=positions.epoch)
    positions.start({P: 10})
    assert span is not None
    assert not positions.is_current(span)
    assert not positions.done(span)
    assert positions.committable() == {}


def test_a_partition_not_owned_hands_nothing_over() -> None:
    positions = started()
    positions.forget([P])
    assert positions.hand_over(P, 15, since=positions.epoch) is None
    assert positions.rewind(P) == {}
    assert positions.undelivered([P]) == {}
    assert positions.next_of(P) is None


def test_nothing_is_fetched_before_the_consumer_stands_where_we_know() -> None:
    positions = started()
    assert not positions.may_fetch(P)
    positions.open(positions.epoch)
    assert positions.may_fetch(P)
    positions.start({P: 10})
    assert not positions.may_fetch(P)
    positions.open(positions.epoch)
    positions.forget([P])
    assert not positions.may_fetch(P)


def test_undelivered_records_are_sought_where_the_last_chunk_ended() -> None:
    positions = started()
    positions.hand_over(P, 15, since=positions.epoch)
    assert positions.undelivered([P]) == {P: 15}


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["process", "drop", "rebalance", "void"])), max_size=60))
def test_whatever_is_dropped_every_offset_is_processed_in_order(steps: list[tuple[int, str]]) -> None:
    positions = started(0)
    cursor, processed = 0, []
    for size, fate in steps:
        end = cursor + size
        span = positions.hand_over(P, end, since=positions.epoch)
        assert span is not None
        begin, cursor = cursor, end
        if fate == "rebalance":
            positions.start({P: positions.next_of(P) or 0})
            cursor = positions.next_of(P) or 0
        elif fate == "void":
            positions.forget([P])
            positions.start({P: len(processed)})
            cursor = len(processed)
        if fate == "drop":
            continue
        if positions.accept(span):
            processed.extend(range(begin, end))
            assert positions.done(span)
        elif positions.is_current(span):
            cursor = positions.rewind(P)[P]
    assert processed == list(range(len(processed)))


def finished(positions: Positions, end: int) -> None:
    span = positions.hand_over(P, end, since=positions.epoch)
    assert span is not None
    assert positions.accept(span)
    assert positions.done(span)


def test_what_the_broker_took_is_not_committed_again_and_what_it_refused_is() -> None:
    positions = started()
    finished(positions, 15)
    assert positions.committable() == {P: 15}
    assert positions.committable() == {P: 15}  # refused
    positions.committed({P: 15}, epoch=positions.epoch)
    assert positions.committable() == {}
    finished(positions, 20)
    positions.committed({P: 15}, epoch=positions.epoch)
    assert positions.committable() == {P: 20}


def test_a_commit_of_an_older_epoch_says_nothing_of_this_one() -> None:
    positions = started()
    sent_in = positions.epoch
    positions.start({P: 10})
    positions.open(positions.epoch)
    finished(positions, 15)
    positions.committed({P: 15, ("clicks", 9): 3}, epoch=sent_in)
    assert positions.committable() == {P: 15}


def test_a_partition_is_ours_from_open_until_a_rebalance_begins() -> None:
    positions = Positions()
    assert not positions.is_ours(("clicks", 0))
    positions.start({("clicks", 0): 5})
    assert not positions.is_ours(("clicks", 0))
    positions.open(positions.epoch)
    assert positions.is_ours(("clicks", 0))
    assert not positions.is_ours(("clicks", 1))
    positions.close()
    assert not positions.is_ours(("clicks", 0))
