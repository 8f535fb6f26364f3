"""Triggers on the host's pressure: descriptors that become readable when tasks had to wait.

``/proc/pressure/{cpu,memory,io}`` (accounting/psi.rst, "Monitoring for pressure thresholds"; Linux 5.2)::

    some 300000 2000000

written to the open file means: wake me when some task was stalled for 300 ms within 2 s. As long as it is not so the
kernel wakes no process. Everyone may ask for windows that are multiples of 2 s since 6.4; before, a trigger takes
CAP_SYS_RESOURCE. The files are the same in every container's /proc: pressure has no namespaces.
"""

from __future__ import annotations

import errno
import os
import select
from typing import NamedTuple

from cgroupfs import Root
from cgroupfs.pseudofs import release

RESOURCES = ("cpu", "memory", "io")
WINDOW_SECONDS = 2.0
STALL_SECONDS = {"cpu": 0.3, "memory": 0.15, "io": 0.3}
"""Of the window. A busy host has short waits for a processor all the time, which harm no program; 15 % are felt. Who
waits for memory does no work meanwhile, and thrashing grows fast: half of that."""
FOLDER = "/proc/pressure"
NOT_LIVE = "a recorded host has no pressure to wait for"
_WHY = {
    errno.ENOENT: "this kernel has no pressure (CONFIG_PSI; Linux 5.2 for triggers)",
    errno.EOPNOTSUPP: "pressure is switched off: add psi=1 to the kernel command line and reboot",
    errno.EPERM: "this kernel gives triggers to CAP_SYS_RESOURCE alone (from Linux 6.4 on everyone may have them)",
    errno.EACCES: "/proc/pressure may not be written",
    errno.EROFS: "/proc/pressure is read-only here",
    errno.EINVAL: "this kernel does not take the trigger (Linux 6.4 does)",
}


class Trigger(NamedTuple):
    """One trigger. Owns both descriptors."""

    resource: str
    fd: int
    """The kernel's file; its event is POLLPRI, which asyncio's event loop does not wait for."""
    waits: select.epoll
    """Of that one file: readable once with each event, which to ask is to clear."""

    def clear(self) -> None:
        """Forget an event of the time before."""
        self.waits.poll(0)

    def close(self) -> None:
        """End the trigger."""
        self.waits.close()
        release(self.fd)


class Triggers(NamedTuple):
    """Those that there are, and why others are not."""

    open: list[Trigger]
    absent: dict[str, str]
    """resource -> the reason."""

    def reasons(self) -> list[str]:
        """``pressure is not watched (memory, io): …``, a line for each reason."""
        several: dict[str, list[str]] = {}
        for resource, why in self.absent.items():
            several.setdefault(why, []).append(resource)
        return [f"pressure is not watched ({', '.join(names)}): {why}" for why, names in several.items()]

    def close(self) -> None:
        """End all of them."""
        for each in self.open:
            each.close()


def open_triggers(root: Root) -> Triggers:
    """One for each resource."""
    found = Triggers([], {})
    for resource in RESOURCES:
        try:
            found.open.append(_open(root, resource))
        except OSError as error:
            found.absent[resource] = _WHY.get(error.errno or 0, error.strerror or "not known")
    return found


def _open(root: Root, resource: str) -> Trigger:
    fd = _opened(root, f"{FOLDER}/{resource}")
    try:
        stall, window = round(STALL_SECONDS[resource] * 1e6), round(WINDOW_SECONDS * 1e6)
        os.write(fd, f"some {stall} {window}\0".encode())
        waits = select.epoll()
    except BaseException:
        release(fd)
        raise
    waits.register(fd, select.EPOLLPRI)
    return Trigger(resource, fd, waits)


def _opened(root: Root, path: str) -> int:
    """The host's /proc may be mounted read-only (/host/proc in a container): the agent's own tells the same."""
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(root.join(path), flags)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES) or root.join(path) == path:
            raise
    return os.open(path, flags)
