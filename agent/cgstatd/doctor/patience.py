"""Does work that may hang, and goes on without the file that hangs: the doctor names it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

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
    """Runs work in a thread, and begins it anew in another one where it waits for one file too long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.hung: list[str] = []
        """The files that work went on without."""

    def __call__(self, work: Callable[[], T]) -> T:
        """Do the work; its result. Raises what it raises, and Hung."""
        while len(self.hung) < MOST_HUNG:
            attempt = _Attempt[T](work)
            file = self._waits_for(attempt)
            if not file:
                return attempt.result()
            attempt.left = True
            self.hung.append(file)
        raise Hung(f"too many files hang, the last is {self.hung[-1]}")

    def _waits_for(self, attempt: _Attempt[T]) -> str:
        """The file that an attempt hangs at; empty: it came to its end."""
        file, since = "", self._clock()
        while not attempt.over(_LOOK_SECONDS):
            now = awaited_file(attempt.thread)
            if not now or now != file:
                file, since = now, self._clock()
            elif self._clock() - since > HANGS_SECONDS:
                return file
        return ""


class _Attempt(Generic[T]):
    """One thread that does the work."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.left = False
        """Another attempt was begun."""
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name="cgstatd-doctor", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], T]) -> None:
        leave_behind_if(lambda: self.left)
        try:
            self._results.append(work())
        except BaseException as error:  # result() raises it
            self._error = error

    @property
    def thread(self) -> int:
        """The kernel's number of the thread."""
        return self._thread.native_id or 0

    def over(self, seconds: float) -> bool:
        """Whether it came to its end, within a time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """The result of the work, once the attempt is over."""
        if self._error is not None:
            raise self._error
        return self._results[0]


def hung_files(patience: Patience) -> Section:
    """A section with the files that hang."""
    todo = "find out what serves it: a FUSE server, a network disk, a dying one; the agent's reading hangs there too"
    what = "what is in it: a container's figures or its name, or figures of the host"
    findings = [Finding(COSTS, f"reading hangs: {file}", what, todo) for file in patience.hung]
    return Section("Files that hang", findings)
