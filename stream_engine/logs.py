"""Log lines: a time, a level, an event, and its fields as key=value."""

from __future__ import annotations

import logging
from typing import Any

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("faust", "mode", "aiokafka", "kafka", "httpx")


class FieldsFormatter(logging.Formatter):
    """Appends the fields passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, then the traceback if there is one."""
        fields: dict[str, Any] = {key: value for key, value in vars(record).items() if key not in _OWN}
        record.message = " ".join([record.getMessage(), *(f"{key}={value}" for key, value in fields.items())])
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {record.message}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


def set_up(*, verbose: bool = False) -> None:
    """Log to standard error; libraries only from WARNING on unless `verbose`."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldsFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
