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
    """A function that shows what is going on (None: nothing any more), on standard error."""
    console = console or Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda text: console.print(text, soft_wrap=True, markup=False) if text else None
        return
    with console.status("") as status:

        def say(text: str | None) -> None:
            if text is None:
                status.stop()
            else:
                console.print(text, style="dim", soft_wrap=True, markup=False)
                status.update(text)
                status.start()

        status.stop()
        yield say


def stop_on_signals() -> None:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, once: the clean-up that follows is not to be cut."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
