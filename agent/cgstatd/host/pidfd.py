"""A descriptor of a process (since Linux 5.3): tells its death, and since 6.15 how it ended.

PIDFD_GET_INFO (include/uapi/linux/pidfd.h, since 6.13; PIDFD_INFO_EXIT since 6.15) fills in ``struct pidfd_info``::

    __u64 mask, cgroupid; __u32 pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid; __s32 exit_code;

``exit_code`` is the wait status (exit 3: 768, SIGKILL: 9). The bit PIDFD_INFO_EXIT of ``mask`` is set in the answer
once the process was waited for; the descriptor itself becomes readable a moment before that. No right is needed.
"""

from __future__ import annotations

import enum
import fcntl
import os
import struct
from typing import NamedTuple

_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
"""_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) of the first version: 64 bytes."""
_EXIT = 1 << 3


class Exit(NamedTuple):
    """How a process ended."""

    code: int
    """As engines show it: 128 + the signal where one ended it."""
    signal: int | None
    """None: it exited by itself, whatever its code."""


class Untold(enum.Enum):
    """Why the kernel does not say how a process ended."""

    NOT_YET = "it was not waited for yet"
    NEVER = "this kernel does not keep it (Linux 6.15 does)"


def how_ended(fd: int) -> Exit | Untold:
    """How the process of a pidfd ended, whichever process waited for it."""
    buffer = bytearray(_INFO.size)
    _INFO.pack_into(buffer, 0, _EXIT, *([0] * 13))
    try:
        fcntl.ioctl(fd, _GET_INFO, buffer)
    except OSError:  # ENOTTY before 6.13; ESRCH before 6.15 once it was waited for
        return Untold.NEVER
    mask, *_, status = _INFO.unpack(buffer)
    if not mask & _EXIT:
        return Untold.NOT_YET
    code = os.waitstatus_to_exitcode(status)
    return Exit(128 - code, -code) if code < 0 else Exit(code, None)
