"""What systemd and a service say to each other (sd_notify(3), sd_listen_fds(3)), without its library.

Nothing here needs systemd: without its environment variables a notice goes nowhere and no socket is passed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from ..basics.text import is_number

FIRST_PASSED = 3
"""SD_LISTEN_FDS_START: standard input, output and error come before."""


class BadSocket(Exception):
    """A descriptor that was passed cannot be listened on; one sentence that names it."""


class Notifier:
    """Tells the service manager what the service is doing. A notice that cannot be sent is lost, and that is all."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog_seconds(environment)
        """How often at least ``WATCHDOG=1`` is expected; 0: not at all."""

    @property
    def wanted(self) -> bool:
        """Whether a service manager listens."""
        return self._address[:1] in ("/", "@")

    def send(self, *lines: str) -> None:
        """Send one notice: ``READY=1``, ``STATUS=…``."""
        if not self.wanted:
            return
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # a manager that does not read must not stop the event loop
                sock.sendto("\n".join(lines).encode(), address)
        except OSError:
            pass

    def reloading(self) -> None:
        """The configuration is being read again; ``READY=1`` ends it."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def state_directory(environment: Mapping[str, str] = os.environ) -> str:
    """Where the unit keeps what outlives a restart (StateDirectory=, the first); empty: it gives none."""
    if environment.get("SYSTEMD_EXEC_PID", str(os.getpid())) != str(os.getpid()):
        return ""  # it is of a service that has started this process
    first = environment.get("STATE_DIRECTORY", "").split(":")[0]
    return first if first.startswith("/") else ""


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """A process may inherit these variables though they are meant for another."""
    pid, microseconds = environment.get("WATCHDOG_PID", ""), environment.get("WATCHDOG_USEC", "")
    if (pid and pid != str(os.getpid())) or not is_number(microseconds):
        return 0.0
    return int(microseconds) / 1e6


def passed_sockets(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets of socket activation; none if none are for this process. Raises BadSocket."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not is_number(count, 4):
        return []
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    sockets: list[socket.socket] = []
    try:
        for index in range(int(count)):
            name = names[index] if index < len(names) else ""
            sockets.append(_listening(FIRST_PASSED + index, name))
    except BadSocket:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _listening(fd: int, name: str) -> socket.socket:
    what = f"descriptor {fd} ({name or 'unnamed'}) that systemd passed"
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise BadSocket(f"{what} is no socket: {error.strerror}") from error
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) or sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise BadSocket(f"{what} is neither TCP nor a unix stream: use ListenStream=")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise BadSocket(f"{what} is a connection, not a listening socket: use Accept=no")
    return sock
