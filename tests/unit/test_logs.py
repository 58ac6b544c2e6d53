"""Log lines hold what users sent, and stay lines."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.logs import FieldsFormatter

FORGED = "u\n2026-01-01 00:00:00,000 INFO root erased user_id=admin"


def line(message: str, error: BaseException | None = None, **fields: str) -> str:
    about = None if error is None else (type(error), error, error.__traceback__)
    record = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": message, "exc_info": about, **fields})
    return FieldsFormatter().format(record)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (FORGED, FORGED.replace("\n", r"\n")),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("a\rb\x85c\u2028d\x9b31m", r"a\rb\x85c\u2028d\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
        ("Zo\u00eb \u4e2d \U0001f600", "Zo\u00eb \u4e2d \U0001f600"),
    ],
)
def test_what_would_move_the_cursor_is_written_out(sent: str, shown: str) -> None:
    assert line("clicked", user_id=sent).endswith(f"INFO n clicked user_id={shown}")
    assert line(sent).endswith(f"INFO n {shown}")


@given(sent=st.text())
def test_one_line_whatever_was_sent(sent: str) -> None:
    assert line(sent, user_id=sent, item_id=sent).isprintable()


def raise_with(text: str) -> None:
    raise ValueError(text)


def test_a_traceback_begins_no_line_of_its_own() -> None:
    with pytest.raises(ValueError, match="admin") as failure:
        raise_with(f"{FORGED}\x1b[2J")
    first, *others = line("failure", failure.value).split("\n")
    assert first.endswith("INFO n failure")
    assert any("in raise_with" in other for other in others)
    assert any("user_id=admin" in other for other in others)
    assert all(other.startswith("  ") and other.isprintable() for other in others)
