"""Whether a directory is this process's own: no other user can put a file there, or swap what is above it.

A symlink on the way is followed where its owner is root or this process (systemd makes /var/lib/cgstatd one, for a
service with DynamicUser=yes). All others end the walk.
"""

from __future__ import annotations

import os
import stat

_MOST_LINKS = 20
BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class NotPrivate(Exception):
    """The text says what is wrong with which directory, and what to do."""


def private_directory(path: str, uid: int | None = None) -> str:
    """The directory without symlinks in its path.

    ``uid``: whose it has to be; None: of this process. Raises NotPrivate, OSError (it is not there, it cannot be seen).
    """
    owner = os.geteuid() if uid is None else uid
    found = trusted_path(path, owner)
    status = os.lstat(found)
    if not stat.S_ISDIR(status.st_mode):
        raise NotPrivate(f"{found} is no directory")
    if status.st_uid != owner:
        raise NotPrivate(f"{found} belongs to uid {status.st_uid}, not to uid {owner}: chown {owner} {found}")
    if status.st_mode & BY_OTHERS:
        raise NotPrivate(f"other users may write into {found}: chmod 700 {found}")
    return found


def trusted_path(path: str, owner: int) -> str:
    """The path without symlinks; its directories are such that only root and ``owner`` can replace what is in them,
    but for what belongs to others in a sticky one. Raises NotPrivate, OSError."""
    if not path.startswith("/"):
        raise NotPrivate(f"{path} is no absolute path")
    left, found, links = path.split("/")[::-1], "/", 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            raise NotPrivate(f"{path} has a .. in it")
        _trusted(found, owner)
        here = os.path.join(found, name)
        status = os.lstat(here)
        if not stat.S_ISLNK(status.st_mode):
            found = here
            continue
        links += 1
        if status.st_uid not in (0, owner) or links > _MOST_LINKS:
            raise NotPrivate(f"{here} is a symlink of uid {status.st_uid}")
        target = os.readlink(here)
        left += target.split("/")[::-1]
        if target.startswith("/"):
            found = "/"
    return found


def trusted_place(path: str, owner: int) -> None:
    """Whether what is put at a path stays there. Raises NotPrivate, OSError."""
    _trusted(trusted_path(os.path.dirname(os.path.abspath(path)), owner), owner)


def _trusted(directory: str, owner: int) -> None:
    """What is in it stays what it is: only root and the owner may rename it."""
    status = os.lstat(directory)
    if status.st_uid not in (0, owner):
        raise NotPrivate(f"{directory} belongs to uid {status.st_uid}, who may replace what is in it")
    if status.st_mode & BY_OTHERS and not status.st_mode & stat.S_ISVTX:
        raise NotPrivate(f"other users may replace what is in {directory}")
