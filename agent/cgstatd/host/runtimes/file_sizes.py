"""The sizes of files that are not read: each is opened in a way that cannot read."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from cgroupfs.hangs import StillHangs
from cgroupfs.pseudofs import release

from .base import Unreadable
from .beneath import open_directory
from .refused import Refused, unreadable
from .statefile import HANGS, MOST_HUNG, StateFiles
from .trusted_file import check

_MOST_SIZES = 64
"""Files whose sizes are added up: a log is rotated into a few."""


class Sizes(NamedTuple):
    """Of several files together."""

    size_bytes: int
    files: int


def sizes(files: StateFiles, directory: str, wanted: Callable[[str], object]) -> Sizes | Unreadable | None:
    """Of the files in a directory whose names are ``wanted``, under the rules of all state files; None: there is none.
    They are opened by O_PATH, which can read nothing."""
    if files.root.readers.count >= MOST_HUNG:
        return Unreadable(HANGS, directory)
    names = files.names(directory)
    if isinstance(names, Unreadable):
        return names
    names = [name for name in names if wanted(name)][:_MOST_SIZES]
    if not names:
        return None
    path = f"{directory}/{names[0]}"
    try:
        with files.root.readers.of(path):
            parent, real = open_directory(files.root, directory)
            try:
                found = [_size(files, parent, real, name) for name in names]
            finally:
                release(parent)
    except Refused as error:
        return Unreadable(str(error), directory)
    except StillHangs:
        return Unreadable(HANGS, path)
    except OSError as error:
        return unreadable(error, path)
    there = [size for size in found if size is not None]
    return Sizes(sum(there), len(there)) if there else None


def _size(files: StateFiles, parent: int, directory: str, name: str) -> int | None:
    """Bytes; None: it is gone. Raises Refused, OSError."""
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)  # where a file hangs, a call that has its name tells it
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        real = f"{directory.rstrip('/')}/{name}"
        check(files.root, files.owner_uid, fd, found, real, found.st_size)
        return files.root.size(real, found.st_size)
    finally:
        release(fd)
