"""A network namespace that nothing but the tests of the page is in."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, and the programs that it starts, are in a namespace with a loopback interface of its own.

    Chromium fails whatever it has under way (ERR_NETWORK_CHANGED) when any interface of its namespace comes or goes,
    and other programs on the machine make some. Where no namespace can be made, the tests run in the one that is there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:
        if libc.unshare(_CLONE_NEWNET) != 0:
            print(f"no network namespace of its own: {os.strerror(ctypes.get_errno())}")
            yield
            return
        try:
            with socket.socket() as sock:
                fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
            yield
        finally:
            if libc.setns(before.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
