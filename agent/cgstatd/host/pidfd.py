"""A descriptor of a process (since Linux 5.3): tells its death, and since 6.15 how it ended.

PIDFD_GET_INFO (include/uapi/linux/pidfd.h, since 6.13; PIDFD_INFO_EXIT since 6.15) fills in ``struct pidfd_info``::

    __u64 mask, cgroupid; __u32 pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid; __s32 exit_code;

``exit_code`` is the wait status (exit 3: 768, SIGKILL: 9). The bit PIDFD_INFO_EXIT of ``mask`` is set in the answer
once the process was waited for; the descriptor itself becomes readable a moment before that.
"""

from __future__ import annotations

import fcntl
import os
import struct

_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
"""_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) of the first version: 64 bytes."""
_EXIT = 1 << 3


def exit_code(fd: int) -> int | None:
    """A dead process' exit code as engines show it (128 + the signal); None: the kernel does not say (yet)."""
    buffer = bytearray(_INFO.size)
    _INFO.pack_into(buffer, 0, _EXIT, *([0] * 13))
    try:
        fcntl.ioctl(fd, _GET_INFO, buffer)
    except OSError:
        return None
    mask, *_, status = _INFO.unpack(buffer)
    if not mask & _EXIT:
        return None
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
