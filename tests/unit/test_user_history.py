"""What preceded an interaction, told the same at every delivery."""

from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users import UserState, advance, context, is_counted
from stream_engine.users.history import place_of

SETTINGS = UserSettings()


def clicked(*item_ids: str, event_type: str = "click", state: UserState | None = None, first: int = 0) -> UserState:
    for offset, item_id in enumerate(item_ids, first):
        state = advance(state, received(item_id, offset, event_type), None, SETTINGS)
    assert state
    return state


def received(item_id: str, offset: int, event_type: str = "click", event_id: str | None = None) -> Received:
    interaction = Interaction(user_id="u", item_id=item_id, timestamp=1e9, event_type=event_type, event_id=event_id)
    return Received(interaction, at(offset))


def at(offset: int) -> Source:
    return Source("clicks", 2, offset)


def before(state: UserState, offset: int, window: int = 10) -> list[str]:
    return context(state, at(offset), window)


def test_context_is_what_came_before_most_recent_first() -> None:
    state = clicked("a", "b", "c", "d")
    assert before(state, 3) == ["c", "b", "a"]
    assert before(state, 3, window=2) == ["c", "b"]
    assert before(state, 0) == []


def test_context_is_the_same_after_later_clicks() -> None:
    state = clicked("a", "b", "c")
    later = clicked(*"defgh" * 8, state=state, first=3)
    assert before(later, 2) == before(state, 2) == ["b", "a"]


def test_context_of_what_is_not_there_is_empty() -> None:
    state = clicked("a", "b")
    assert before(state, 2) == []
    assert before(clicked("c", event_type="impression", state=state, first=2), 2) == []
    assert context(state, Source("clicks", 3, 1), 10) == []


def test_context_leaves_out_what_was_pushed_away() -> None:
    state = clicked("b", event_type="dislike", state=clicked("a"), first=1)
    assert before(clicked("c", state=state, first=2), 2) == ["a"]


def test_a_place_is_found_among_bytes_that_look_like_it() -> None:
    """Places are searched as bytes: a match across two neighbours is none."""
    state = UserState(
        items=("a", "b", "c"), codes=b"\0\0\0", times=bytes(12), places=b"\0\1\2\3" + b"\4\5\6\7" + b"\1\2\3\4"
    )
    base = place_of(Source("t", 0, 0))
    for place, expected in ((b"\1\2\3\4", ["b", "a"]), (b"\0\1\2\3", []), (b"\2\3\4\5", [])):
        source = Source("t", 0, (int.from_bytes(place, "little") - base) % 2**32)
        assert context(state, source, 5) == expected


def test_places_of_one_partition_differ() -> None:
    assert len({place_of(at(offset)) for offset in range(10_000)}) == 10_000


def test_a_duplicate_is_told_from_what_has_left_the_history() -> None:
    state = clicked("a", "b")
    state = advance(state, received("c", 2, event_id="e"), None, SETTINGS)
    state = advance(state, received("c", 3, event_id="e"), None, SETTINGS)
    assert [is_counted(state, at(offset)) for offset in range(4)] == [True, True, True, False]
    later = clicked(*(str(place) for place in range(49)), state=state, first=4)
    assert [is_counted(later, at(offset)) for offset in range(4)] == [True, True, True, False]
