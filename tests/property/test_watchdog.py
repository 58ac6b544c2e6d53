"""The watchdog: names a partition exactly when it had records to read and did not move for long."""

from hypothesis import given
from hypothesis import strategies as st

from stream_engine.streaming.watchdog import Progress

P = ("clicks", 0)
PATIENCE = 10.0

looks = st.lists(
    st.tuples(st.floats(0.1, 8.0), st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=30
)


@given(looks)
def test_stuck_is_lag_without_movement_for_longer_than_the_patience(
    steps: list[tuple[float, int, int, bool]],
) -> None:
    """Each step: seconds passed, records finished, records left to read, whether the partition was looked at."""
    progress, now, offset, fine_at = Progress(), 0.0, 0, 0.0
    looked_at_before = False
    for seconds, moved, lag, looked_at in steps:
        now += seconds
        offset += moved
        if not looked_at_before or moved or lag == 0:
            fine_at = now
        progress = progress.note(now, {P: offset} if looked_at else {}, {P: offset + lag})
        looked_at_before = looked_at
        stuck = now - fine_at > PATIENCE and looked_at
        assert progress.stuck(now, PATIENCE) == ([P] if stuck else [])


def test_a_partition_without_a_known_end_is_not_stuck() -> None:
    progress = Progress().note(0.0, {P: 5}, {}).note(100.0, {P: 5}, {})
    assert progress.stuck(100.0, PATIENCE) == []
