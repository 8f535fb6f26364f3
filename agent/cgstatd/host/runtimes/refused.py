"""Why a state file is not read, in words that hold nothing of its content."""

from __future__ import annotations

import errno
import os

from .base import Unreadable

_SENTENCES = {
    errno.EACCES: "permission denied (names need CAP_DAC_READ_SEARCH)",
    errno.EPERM: "permission denied (names need CAP_DAC_READ_SEARCH)",
    errno.ELOOP: "is a symbolic link",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.ENXIO: "is not a regular file",
}


class Refused(Exception):
    """Why a file is not believed; the message is the sentence shown."""


class Later(Refused):
    """More of this owner's files was read than may be read at once; ``wait_ns``: how long until more may be."""

    def __init__(self, words: str, wait_ns: int) -> None:
        super().__init__(words)
        self.wait_ns = wait_ns


def unreadable(error: OSError, path: str) -> Unreadable:
    """The reason that stands for an error of the kernel's."""
    code = error.errno or 0
    return Unreadable(_SENTENCES.get(code, os.strerror(code)), path, code in (errno.EACCES, errno.EPERM))
