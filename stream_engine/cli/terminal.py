"""What is shown while something takes longer than a second: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

Say = Callable[[str | None], None]


@contextmanager
def progress_lines(console: Console | None = None) -> Iterator[Say]:
    """A function that says on standard error what is going on, with a spinner until it is called with None."""
    console = console or Console(stderr=True, highlight=False)
    spinner = console.status("") if console.is_terminal else None

    def say(text: str | None) -> None:
        nonlocal spinner
        if text is not None:
            console.print(text, style="dim", soft_wrap=True, markup=False)
            if spinner is not None:
                spinner.update(text)
                spinner.start()
        elif spinner is not None:
            spinner.stop()
            spinner = None  # other displays follow, and there can only be one

    try:
        yield say
    finally:
        say(None)


def stop_on_signals() -> None:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, once: the clean-up that follows is not to be cut."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
