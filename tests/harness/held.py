"""A way to a broker where requests can be held up: what a socket, a switch or a hypervisor may do."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PRODUCE = bytes(2)  # the first bytes of a request say what it asks


class Way:
    """A TCP proxy; of what is sent, requests to write records with a certain name in them can be held up.

    What was held arrives once it is let go, whatever became of its sender: that is not told to the broker either.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.held = 0
        self._name = b""
        self._free = threading.Event()
        self._free.set()
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, name: str) -> None:
        """From now on, hold up what writes records and has this in it, and all behind it."""
        self._name, self.held = name.encode(), 0
        self._free.clear()

    def let_go(self) -> None:
        """Let all pass, what was held first."""
        self._free.set()

    def close(self) -> None:
        """End all connections."""
        self.let_go()
        for end in (self._server, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                broker = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [client, broker]
                for carry, ends in ((self._requests, (client, broker)), (_answers, (broker, client))):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    def _requests(self, client: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError):
            while frame := _frame(client):
                if not self._free.is_set() and frame[4:6] == PRODUCE and self._name in frame:
                    self.held += 1
                    self._free.wait()
                broker.sendall(frame)


def _frame(end: socket.socket) -> bytes:
    """One request with its length in front; nothing when the connection ends."""
    head = _exactly(end, 4)
    return head and head + _exactly(end, struct.unpack(">i", head)[0])


def _exactly(end: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = end.recv(size - len(found))
        if not more:
            return b""
        found += more
    return found


def _answers(broker: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while found := broker.recv(1 << 16):
            with suppress(OSError):  # whoever asked is gone
                client.sendall(found)


@contextmanager
def way(to: int) -> Iterator[Way]:
    """An open one to a local port."""
    made = Way(to)
    try:
        yield made
    finally:
        made.close()
