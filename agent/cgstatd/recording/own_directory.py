"""A temporary directory for a tree that is played on. If its program is killed, the next one removes it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import islice

from cgroupfs.pseudofs import release

PREFIX = "cgstatd-replay-"
YOUNG_SECONDS = 60.0
"""A directory that is younger may not be locked yet."""
_MOST_NAMES = 10_000
"""Of the place for temporary files that are looked at."""


@contextlib.contextmanager
def own_directory() -> Iterator[str]:
    """Its path. It is locked (flock(2)) for as long as this program lives, and gone afterwards. Raises OSError."""
    _remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield directory
        finally:
            release(fd)


def _remove_left_behind() -> None:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in islice(entries, _MOST_NAMES):
            if entry.name.startswith(PREFIX):
                with contextlib.suppress(OSError):  # BlockingIOError is one: its program lives
                    _remove(entry.path)


def _remove(path: str) -> None:
    """If it is a directory of this user's, and no program has it locked. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if found.st_uid == os.geteuid() and time.time() - found.st_mtime > YOUNG_SECONDS:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        release(fd)
