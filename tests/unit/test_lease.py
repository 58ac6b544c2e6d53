"""The lease: lost by a frozen clock, and never won back."""

from stream_engine.streaming.lease import Lease


def test_a_clock_that_ticks_holds_the_lease() -> None:
    lease = Lease(limit=3.0, noted=100.0)
    for tick in range(1, 50):
        lease = lease.note(100.0 + 0.2 * tick)
    assert lease.held(110.0)


def test_a_write_after_a_freeze_is_refused() -> None:
    assert not Lease(limit=3.0, noted=100.0).held(103.1)


def test_a_note_after_a_freeze_does_not_win_it_back() -> None:
    lease = Lease(limit=3.0, noted=100.0).note(107.0)
    assert lease.lost
    assert not lease.held(107.0)
    assert not lease.note(107.1).held(107.1)


def test_a_clock_that_goes_back_changes_nothing() -> None:
    assert Lease(limit=3.0, noted=100.0).note(99.0).held(102.9)
