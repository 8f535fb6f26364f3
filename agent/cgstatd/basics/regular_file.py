"""A file that a setting names: to open a FIFO, or to read a device, could take for ever."""

from __future__ import annotations

import errno
import os
import stat


def read_regular(path: str, most_bytes: int) -> bytes:
    """The content, up to ``most_bytes``. Raises OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        check_regular(path, os.fstat(file.fileno()))
        return file.read(most_bytes)


def check_regular(path: str, status: os.stat_result) -> None:
    """Raises OSError."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
