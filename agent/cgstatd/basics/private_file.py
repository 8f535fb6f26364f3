"""A small file that says what the agent is to do, or holds a secret: believed only where no other user can write it."""

from __future__ import annotations

import os
import stat

from .private_directory import BY_OTHERS, NotPrivate, trusted_path


def read_private(path: str, most_bytes: int) -> bytes:
    """The content, up to ``most_bytes`` and one byte more. Raises NotPrivate, OSError.

    The file has to belong to root or to this process' user, and no other user may write to it or replace it.
    """
    found = trusted_path(os.path.abspath(path), os.geteuid())
    fd = os.open(found, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(fd, "rb") as file:
        _check(found, os.fstat(fd))
        return file.read(most_bytes + 1)


def check_private_file(path: str) -> None:
    """The same without reading it. Raises NotPrivate, OSError."""
    found = trusted_path(os.path.abspath(path), os.geteuid())
    _check(found, os.lstat(found))


def _check(path: str, status: os.stat_result) -> None:
    """Raises NotPrivate."""
    if not stat.S_ISREG(status.st_mode):
        raise NotPrivate(f"{path} is not a regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise NotPrivate(f"{path} belongs to uid {status.st_uid}, neither to root nor to the agent's user")
    if status.st_mode & BY_OTHERS:
        raise NotPrivate(f"other users may write to {path}: chmod go-w {path}")
