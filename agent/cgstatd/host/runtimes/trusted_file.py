"""Whether an open state file is believed, and its bytes up to a bound."""

from __future__ import annotations

import os
import stat

from cgroupfs import Root

from .refused import Refused

OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def check(root: Root, owner_uid: int, fd: int, found: os.stat_result, real: str, limit: int) -> None:
    """``found``: what fstat says of ``fd``; ``real``: its host path. Raises Refused, OSError."""
    if not stat.S_ISREG(found.st_mode):
        raise Refused("is not a regular file")
    if found.st_size > limit:
        raise Refused(f"larger than {limit} bytes")
    uid = root.identity(real, fd).uid
    if uid != owner_uid:
        raise Refused(f"owned by uid {uid}, not by {owner_uid}")
    # The modes of a recorded tree are those of its copy (git under umask 002: writable by the group).
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and root.live:
        raise Refused("writable by its group or by others")


def content(fd: int, size: int, limit: int) -> bytes:
    """The whole content, mostly in one piece: to join several takes the memory twice. Raises Refused, OSError."""
    parts, read, wanted = [], 0, min(size, limit) + 1
    while part := os.read(fd, wanted):
        parts.append(part)
        read += len(part)
        wanted = 1 << 18
        if read > limit:  # it grew since fstat
            raise Refused(f"larger than {limit} bytes")
    return b"".join(parts)
