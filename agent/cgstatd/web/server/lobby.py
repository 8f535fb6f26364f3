"""Where a connection waits until its client says something: a descriptor and a timer, without a handler.

Many clients open connections and leave them alone (a port scan, a browser that connects ahead, an attack). A handler,
its transport and their tasks would be made for nothing. And that of a client which has used more than its share
(account.py) waits here until it has less: a TLS handshake takes a millisecond of the event loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from .gate import Seat


class Lobby:
    """One connection that waits. It keeps its seat.

    ``go_on`` is called, once, when there is something to read, with the time (the loop's) until which it may take to
    ask.
    """

    __slots__ = ("_go_on", "_later", "_left", "_loop", "_seat", "_sock", "_timer", "_wait")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        seat: Seat,
        seconds: float,
        go_on: Callable[[float], None],
        left: Callable[[Lobby], None],
        wait: Callable[[], float],
    ) -> None:
        """``seconds``: for how long it may wait; ``left``: called, once, when it does not wait any more; ``wait``: how
        long its client has to, as things are."""
        self._loop, self._sock, self._seat = loop, sock, seat
        self._go_on, self._left, self._wait = go_on, left, wait
        self._later: asyncio.TimerHandle | None = None
        seat.cut = self.close
        self._timer = loop.call_later(seconds, self.close)
        self._listen()

    def _listen(self) -> None:
        self._later = None
        self._loop.add_reader(self._sock.fileno(), self._look)

    def _look(self) -> None:
        try:
            said = bool(self._sock.recv(1, socket.MSG_PEEK))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            said = False
        if not said:  # its client has gone
            self.close()
            return
        if seconds := self._wait():
            self._loop.remove_reader(self._sock.fileno())
            self._later = self._loop.call_later(seconds, self._listen)
            self._timer.cancel()  # what the agent makes it wait is not its client's time
            self._timer = self._loop.call_at(self._timer.when() + seconds, self.close)
            return
        self._leave()
        self._go_on(self._timer.when())

    def _leave(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._timer.cancel()
        if self._later is not None:
            self._later.cancel()
        self._left(self)

    def close(self) -> None:
        """End the connection; nothing happens where it does not wait any more."""
        if self._sock.fileno() >= 0:
            self._leave()
            self._sock.close()
            self._seat.leave()
