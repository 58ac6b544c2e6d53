import pytest

from stream_engine.codec import dead_letter_headers, decode_dead_letter
from stream_engine.errors import PoisonEvent
from stream_engine.events import DeadLetter, Source

OWN = (("trace", b"\xff"), ("empty", b""))
LETTER = DeadLetter(b"k\xff", b"\x00", OWN, Source("clicks", 3, 2**40), "decode", "PoisonEvent", "item_id: missing")


def test_the_record_is_untouched_and_the_reason_added() -> None:
    headers = dead_letter_headers(LETTER)
    assert tuple(headers[:2]) == OWN
    assert dict(headers[2:]) == {
        "__stream_engine.errors.topic": b"clicks",
        "__stream_engine.errors.partition": b"3",
        "__stream_engine.errors.offset": b"1099511627776",
        "__stream_engine.errors.stage": b"decode",
        "__stream_engine.errors.class": b"PoisonEvent",
        "__stream_engine.errors.message": b"item_id: missing",
    }


def test_a_dead_letter_of_a_dead_letter_keeps_both_reasons() -> None:
    twice = DeadLetter(None, None, tuple(dead_letter_headers(LETTER)), Source("dead-letters", 0, 1), "a", "b", "c")
    outer = decode_dead_letter(None, None, dead_letter_headers(twice))
    assert outer == twice
    assert decode_dead_letter(LETTER.key, LETTER.value, outer.headers) == LETTER


def test_the_added_headers_stay_below_two_kilobytes() -> None:
    huge = "🪑" * 5_000
    source = Source("t" * 249, 2**31 - 1, 2**63 - 1)
    headers = dead_letter_headers(DeadLetter(None, None, (), source, huge, huge, huge))
    assert sum(len(name) + len(raw) for name, raw in headers) < 2_000
    read = decode_dead_letter(None, None, headers)
    assert read.message.startswith("🪑" * 240)
    assert read.message.endswith("🪑…")


def test_text_that_utf8_cannot_hold_is_written_escaped() -> None:
    letter = DeadLetter(None, None, (), Source("t", 0, 0), "s", "E", "\ud800")
    assert decode_dead_letter(None, None, dead_letter_headers(letter)).message == "\\ud800"


@pytest.mark.parametrize("spoil", ["missing", "order", "number", "text"])
def test_other_records_are_no_dead_letters(spoil: str) -> None:
    headers = dead_letter_headers(LETTER)
    match spoil:
        case "missing":
            headers.pop()
        case "order":
            headers[-1], headers[-2] = headers[-2], headers[-1]
        case "number":
            headers[-5] = (headers[-5][0], b"three")
        case "text":
            headers[-1] = (headers[-1][0], b"\xff")
    with pytest.raises(PoisonEvent, match=r"^headers: "):
        decode_dead_letter(b"k", b"v", headers)
