"""A file that takes its time: a FUSE file system whose root is one regular file, answered by a thread of ours."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_IN = struct.Struct("<IIQQIIII")  # fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid, padding
_OUT = struct.Struct("<IiQ")  # fuse_out_header: len, error, unique
_ATTR = struct.Struct("<QII QQQQQQ IIIIIIIIII")  # fuse_attr_out: validity, then fuse_attr
_GETATTR, _OPEN, _READ, _RELEASE, _FLUSH, _FORGET, _INIT, _INTERRUPT = 3, 14, 15, 18, 25, 2, 26, 36
_UNANSWERED = (_FORGET, _INTERRUPT, _RELEASE)
"""The kernel tells of these; no program's call waits for them."""
_DIRECT_IO = 1
_MNT_DETACH = 2


def _answer(opcode: int, body: bytes, read: Callable[[], bytes]) -> bytes | int:
    """What to send back, or an errno."""
    if opcode == _INIT:
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 16, 0, 1, 1, 1 << 16, 1, 0, 0, 0, *[0] * 7)
    if opcode == _GETATTR:
        mode = stat.S_IFREG | 0o444
        return _ATTR.pack(0, 0, 0, 1, 4096, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
    if opcode == _OPEN:
        return struct.pack("<QII", 0, _DIRECT_IO, 0)
    if opcode == _READ:
        offset = struct.unpack_from("<QQ", body)[1]
        return b"" if offset else read()
    return b"" if opcode in (_RELEASE, _FLUSH) else errno.ENOSYS


def _serve(fd: int, read: Callable[[], bytes], wait: Callable[[], object]) -> None:
    """Until it is unmounted. Owns the descriptor: if another thread closed it, the next read could be of another file
    that has got its number."""
    try:
        with suppress(OSError):
            while len(data := os.read(fd, 1 << 18)) >= _IN.size:
                _, opcode, *_ = _IN.unpack_from(data)
                if opcode not in _UNANSWERED:
                    wait()
                _reply(fd, data, read)
    finally:
        os.close(fd)


def _reply(fd: int, data: bytes, read: Callable[[], bytes]) -> None:
    _, opcode, unique, *_ = _IN.unpack_from(data)
    if opcode in (_FORGET, _INTERRUPT):
        return
    answer = _answer(opcode, data[_IN.size :], read)
    failed = -answer if isinstance(answer, int) else 0
    body = answer if isinstance(answer, bytes) else b""
    with suppress(OSError):  # it was interrupted meanwhile
        os.write(fd, _OUT.pack(_OUT.size + len(body), failed, unique) + body)


@contextmanager
def slow(path: Path, read: Callable[[], bytes], wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """From now on the file has what ``read`` gives each time, after as long as that takes. Skips where it cannot.

    ``wait`` is called before any answer: to open the file and to ask for its size waits for it, too.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"/dev/fuse: {error.strerror}")
    options = f"fd={fd},rootmode={stat.S_IFREG | 0o444:o},user_id=0,group_id=0,allow_other"
    if libc.mount(b"slow", os.fsencode(path), b"fuse", 0, options.encode()):
        os.close(fd)
        pytest.skip(f"no FUSE file system can be mounted: {os.strerror(ctypes.get_errno())}")
    threading.Thread(target=_serve, args=(fd, read, wait), daemon=True).start()
    try:
        yield
    finally:
        libc.umount2(os.fsencode(path), _MNT_DETACH)
