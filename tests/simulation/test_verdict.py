"""What the witness takes for done, and what not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from simulation.broker import CHANGELOG, CLICKS, LISTS, Record
from simulation.stage import MODELS, USERS
from simulation.verdict import Sent, Witness
from stream_engine.codec import encode_recommendation
from stream_engine.events import Interaction, Received, Recommendation, RecommendedItem, Source, Trigger
from stream_engine.users import UserState, advance, encode_state

SENT = ("a", "b", "", "d")  # by offset; the third erases


def _witness(*listed: str) -> Witness:
    witness = Witness([Sent("u", item, 0, offset) for offset, item in enumerate(SENT)])
    items = tuple(RecommendedItem(item, rank, 0.0, "history") for rank, item in enumerate(listed, 1))
    shown = Recommendation(
        recommendation_id="shown",
        user_id="u",
        generated_at=0.0,
        trigger=Trigger(None, CLICKS, 0, 0),
        interactions=len(items),
        model=MODELS,
        items=items,
    )
    witness.on_record(Record(LISTS, 0, 0, b"u", encode_recommendation(shown)))
    return witness


def _write(witness: Witness, offsets: Sequence[int]) -> None:
    """The state that these clicks make; of none, a tombstone."""
    state: UserState | None = None
    for offset in offsets:
        clicked = Interaction(user_id="u", item_id=SENT[offset])
        state = advance(state, Received(clicked, Source(CLICKS, 0, offset)), None, USERS)
    witness.on_record(Record(CHANGELOG, 0, 0, b"u", encode_state(state) if state else None))


def test_a_click_is_done_once_a_state_and_a_list_reflect_it() -> None:
    witness = _witness("a")
    witness.on_commit(0, 1)
    _write(witness, [0, 1])
    witness.on_commit(0, 2)
    assert witness.wrong == [
        "a at 0/0 is stepped over by a commit of 1",
        "b at 0/1 is committed, and no list reflects it",
    ]


def test_a_click_is_done_once_a_state_got_past_its_erasure() -> None:
    """Seed 853: the piece with b did not arrive, and was handled again after the one with the erasure and d."""
    witness = _witness("a")
    _write(witness, [0])
    _write(witness, [3])
    witness.on_commit(0, 2)
    assert witness.wrong == []


@pytest.mark.parametrize("held", [[0, 3], [0]])
def test_a_state_without_the_erasure_excuses_nothing(held: list[int]) -> None:
    witness = _witness("a", "d")
    _write(witness, held)
    witness.on_commit(0, 2)
    assert witness.wrong == ["b at 0/1 is stepped over by a commit of 2"]


def test_an_erasure_is_done_once_its_tombstone_is_written() -> None:
    witness = _witness("a", "b")
    _write(witness, [0, 1])
    witness.on_commit(0, 3)
    assert witness.wrong == ["the end of u at 0/2 is stepped over by a commit of 3"]
    witness.wrong.clear()
    _write(witness, [])
    witness.on_commit(0, 3)
    assert witness.wrong == []
