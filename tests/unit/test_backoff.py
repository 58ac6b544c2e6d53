"""When a worker is started again."""

from hypothesis import given
from hypothesis import strategies as st

from stream_engine.local.backoff import Policy, Slot, has_left, is_due, was_started

POLICY = Policy(first=1.0, longest=10.0, healthy_after=30.0)


def crash(times: int, lasting: float = 0.5) -> tuple[Slot, float]:
    slot, now = Slot(), 0.0
    for _ in range(times):
        slot = was_started(slot, now)
        now += lasting
        slot = has_left(slot, 1, now, POLICY)
    return slot, now


def test_a_new_slot_is_due_at_once_and_a_running_one_never() -> None:
    assert is_due(Slot(), 0.0)
    assert not is_due(was_started(Slot(), 0.0), 1e9)


def test_waits_double_up_to_the_longest() -> None:
    waits = [slot.due - now for slot, now in (crash(times) for times in range(1, 7))]
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_long_run_is_forgiven() -> None:
    slot, now = crash(4)
    slot = has_left(was_started(slot, now), 1, now + POLICY.healthy_after, POLICY)
    assert slot.failures == 1


def test_a_refused_setting_is_not_tried_again() -> None:
    slot = has_left(was_started(Slot(), 0.0), 2, 1.0, POLICY)
    assert slot.wrong_setting
    assert not is_due(slot, 1e9)


@given(times=st.integers(1, 1100), code=st.integers(-64, 1))
def test_it_always_comes_back(times: int, code: int) -> None:
    slot, now = crash(times)
    slot = has_left(was_started(slot, now), code, now, POLICY)
    assert is_due(slot, now + POLICY.longest)
    assert not is_due(slot, now)
