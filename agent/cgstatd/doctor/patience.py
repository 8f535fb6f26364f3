"""Does work that may hang, and goes on without the file that hangs: the doctor names it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from cgroupfs.hangs import awaited_file, leave_behind_if

from .findings import COSTS, Finding, Section

T = TypeVar("T")
HANGS_SECONDS = 3.0
"""Longer than any pause that is made on purpose."""
_LOOK_SECONDS = 0.05
MOST_HUNG = 16


class Hung(Exception):
    """More files hang than the doctor goes on without; the text names the last."""


class Patience:
    """Work in a thread, which is begun anew in another one where it waits for one file too long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.hung: list[str] = []
        """The files that work went on without."""

    def __call__(self, work: Callable[[], T]) -> T:
        """Do the work; its result. Raises what it raises, and Hung."""
        while len(self.hung) < MOST_HUNG:
            left, outcome = threading.Event(), Future[T]()
            thread = threading.Thread(target=_attempt, args=(work, left, outcome), name="cgstatd-doctor", daemon=True)
            thread.start()
            file = self._waits_for(thread)
            if not file:
                return outcome.result()
            left.set()
            self.hung.append(file)
        raise Hung(f"too many files hang, the last is {self.hung[-1]}")

    def _waits_for(self, thread: threading.Thread) -> str:
        """The file that a thread hangs at; empty: it came to its end."""
        file, since = "", self._clock()
        while True:
            thread.join(_LOOK_SECONDS)
            if not thread.is_alive():
                return ""
            now = awaited_file(thread.native_id or 0)
            if not now or now != file:
                file, since = now, self._clock()
            elif self._clock() - since > HANGS_SECONDS:
                return file


def _attempt(work: Callable[[], T], left: threading.Event, outcome: Future[T]) -> None:
    """Runs in a thread. ``left``: another attempt was begun."""
    leave_behind_if(left.is_set)
    try:
        outcome.set_result(work())
    except BaseException as error:  # result() raises it
        outcome.set_exception(error)


def hung_files(patience: Patience) -> Section:
    """A section with the files that hang."""
    todo = "find out what serves it: a FUSE server, a network disk, a dying one; the agent's reading hangs there too"
    what = "what is in it: a container's figures or its name, or figures of the host"
    findings = [Finding(COSTS, f"reading hangs: {file}", what, todo) for file in patience.hung]
    return Section("Files that hang", findings)
