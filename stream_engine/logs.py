"""Log lines: a time, a level, an event, and its fields as key=value. What users sent can end no line and begin none."""

from __future__ import annotations

import logging
from typing import Any

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("faust", "mode", "aiokafka", "kafka", "httpx")


class FieldsFormatter(logging.Formatter):
    """Appends the fields passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, then the traceback if there is one, indented."""
        fields: dict[str, Any] = {key: value for key, value in vars(record).items() if key not in _OWN}
        record.message = " ".join([record.getMessage(), *(f"{key}={value}" for key, value in fields.items())])
        lines = [f"{self.formatTime(record)} {record.levelname} {record.name} {record.message}"]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        return "\n  ".join(map(escaped, lines))


def escaped(text: str) -> str:
    """Text that no terminal takes for more: line breaks, escape sequences, turned directions are written out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def set_up(*, verbose: bool = False) -> None:
    """Log to standard error; libraries only from WARNING on unless `verbose`."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldsFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
