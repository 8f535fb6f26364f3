"""Ctrl-C and SIGTERM (of timeout, of a service manager), which wait while something must not be left half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered both signals wait, except within ``admitted``: there they raise KeyboardInterrupt.

    One that comes after the last ``admitted`` changes nothing: what it would end is about to end.
    """

    def __init__(self) -> None:
        self._admitted = self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there a program has handlers
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Raises KeyboardInterrupt, at once if a signal has come since the beginning."""
        try:
            self._admitted = True
            if self._came:
                raise KeyboardInterrupt
            yield
        finally:
            self._admitted = False

    def _handle(self, _: int, __: FrameType | None) -> None:
        self._came = True
        if self._admitted:
            self._admitted = False  # a second one does not disturb what the first one has set going
            raise KeyboardInterrupt
