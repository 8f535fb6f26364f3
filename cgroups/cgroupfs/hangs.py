"""Reads that do not come back: a file has one reader at a time, and a thread that was given up touches nothing more.

A read of a dying disk, or of a file whose FUSE server is stuck, cannot be ended from outside. A program that reads in
threads goes on in another one (:func:`leave_behind_if`). This module holds two rules for that:

* the next thread that wants the file is refused (:class:`OneReader`), so that a hung file costs one thread, however
  often it is asked for. The first one waits a moment: the thread that is there may be slow, or have no processor;
* the thread that was left behind ends its work when the file answers in the end (:func:`still_wanted`): another thread
  has taken that work over, and two must not do it side by side.

:func:`awaited_file` tells what a thread waits for, from the kernel (proc(5), ``/proc/<pid>/task/<tid>/syscall``)::

    257 0x5 0x7f3f2c0a1b30 0x88800 0x0 0x0 0x0 0x7ffd4c0f1a28 0x7f3f2d13a3f4
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

_AT_FDCWD = (-100) & 0xFFFFFFFF
_PATH_BYTES = 4096
_DIRECTORY_FLAGS = os.O_DIRECTORY | os.O_PATH
_STEP_SECONDS = 0.001
_current = threading.local()
PATIENCE_SECONDS = 0.05
"""How long a thread waits for one that is at the same file, or at the same container. Who was waited for in vain hangs,
and is not waited for again; nor is one whose work was taken over."""


class StillHangs(OSError):
    """An earlier reading of the file has not come back."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EBUSY, "an earlier reading still hangs", path)


class LeftBehind(BaseException):
    """The thread was left behind and another has taken its work over. Not an Exception: the work has not failed."""


def leave_behind_if(left: Callable[[], bool]) -> None:
    """From now on ``left`` says whether the work of the current thread has been taken over."""
    _current.left = left


def left_check() -> Callable[[], bool]:
    """The function that :func:`leave_behind_if` was given for the current thread; another thread may ask it later."""
    return getattr(_current, "left", None) or (lambda: False)


def still_wanted() -> None:
    """Called after a read that may have hung, before its result is used. Raises LeftBehind."""
    left: Callable[[], bool] | None = getattr(_current, "left", None)
    if left is not None and left():
        raise LeftBehind


class OneReader:
    """Lets one thread at a time at each file; ``with readers.of(path):``."""

    __slots__ = ("_readers",)

    def __init__(self) -> None:
        self._readers: dict[str, _Turn] = {}

    def of(self, path: str) -> _Turn:
        """The turn at a file; entering it raises StillHangs, leaving it LeftBehind."""
        return _Turn(self._readers, path)

    @property
    def count(self) -> int:
        """How many files are being read, or hang."""
        return len(self._readers)


class _Turn:
    __slots__ = ("_hangs", "_left", "_path", "_readers")

    def __init__(self, readers: dict[str, _Turn], path: str) -> None:
        self._readers, self._path = readers, path
        self._left = left_check()
        """Whether its work was taken over: then it hangs."""
        self._hangs = False
        """Whether another was waiting for it in vain."""

    def __enter__(self) -> None:
        if self._readers.setdefault(self._path, self) is not self:  # one step: no other thread comes in between
            self._wait()

    def _wait(self) -> None:
        """Raises StillHangs."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (other := self._readers.setdefault(self._path, self)) is not self:
            other._hangs = other._hangs or other._left() or time.monotonic() >= until
            if other._hangs:
                raise StillHangs(self._path)
            time.sleep(_STEP_SECONDS)

    def __exit__(self, *exc: object) -> None:
        del self._readers[self._path]
        still_wanted()


def awaited_file(thread: int) -> str:
    """The real path of the file that a thread of this process (by its kernel id) waits for; empty: not known.

    Reads this process' own /proc, which never hangs. The call's first argument is the file's descriptor, or that of
    the directory (AT_FDCWD: none) that the path in the second starts from.
    """
    with suppress(OSError, ValueError):
        words = _own(f"task/{thread}/syscall").split()
        first, second = (int(word, 16) for word in words[1:3])  # "running" has no arguments
        if first & 0xFFFFFFFF == _AT_FDCWD:
            return _text_at(second)
        flags = next(int(line.split()[1], 8) for line in _own(f"fdinfo/{first}").splitlines() if line[:5] == "flags")
        path = os.readlink(f"/proc/self/fd/{first}")
        if path == "anon_inode:inotify":
            return _text_at(second)
        name = _text_at(second) if flags & _DIRECTORY_FLAGS else ""
        return f"{path}/{name}" if name else path if path.startswith("/") else ""
    return ""


def _own(name: str) -> str:
    with open(f"/proc/self/{name}", encoding="ascii") as file:
        return file.read()


def _text_at(address: int) -> str:
    """The text that ends with NUL at an address of this process; empty where there is none that could be a path."""
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            data = os.pread(memory.fileno(), _PATH_BYTES, address)
    except (OSError, OverflowError):
        return ""
    text = os.fsdecode(data.partition(b"\0")[0])
    return text if text.isprintable() else ""
