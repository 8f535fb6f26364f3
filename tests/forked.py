"""``cgstatd`` without importing it again: children of one process in each process of a test run that has imported it.

Importing is most of what a program costs that is started for a test: 0.13 s of CPU time, 0.33 s for ``serve``. A fork
of what is imported takes some milliseconds, and is a process of its own all the same: with its own descriptors,
signals, environment and end. What is about the start of Python itself (its locale, streams that are closed, what is
imported when) starts the real program.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, NoReturn

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "PYTHONPATH": os.pathsep.join((f"{PROJECT}/agent", f"{PROJECT}/cgroups")),
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
    "TMPDIR": tempfile.gettempdir(),
}


class Forked:
    """One such program, as subprocess.Popen has it; ``stdout``: a file, else it is the caller's."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], stdout: IO[str] | None = None) -> None:
        self.stdout = None
        self.stderr = self._start(arguments, env, stdout)
        self.returncode: int | None = None

    def _start(self, arguments: Sequence[str], env: Mapping[str, str], stdout: IO[str] | None) -> IO[str]:
        self._says, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # each number is a message
        errors, err = os.pipe()
        with open(os.devnull, "rb") as empty, theirs, open(err, "wb"):
            streams = [empty.fileno(), 1 if stdout is None else stdout.fileno(), err]
            request = json.dumps([arguments, dict(env)]).encode()
            socket.send_fds(_imported(_place()), [request], [*streams, theirs.fileno()])
        self.pid = int(self._says.recv(100))
        return open(errors, encoding="utf-8")

    def poll(self) -> int | None:
        """How it ended; None: it has not."""
        if self.returncode is None and has_news(self._says, 0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not has_news(self._says, timeout):
                raise subprocess.TimeoutExpired("cgstatd", timeout or 0.0)
            self.returncode = int(self._says.recv(100))
            self._says.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[None, str]:
        """Until it has ended: the rest of its standard error."""
        ends = None if timeout is None else time.monotonic() + timeout
        with self.stderr:
            while ends is not None and not has_news(self._says, 0.05):
                if time.monotonic() > ends:
                    raise subprocess.TimeoutExpired("cgstatd", timeout or 0.0)
            said = self.stderr.read()
        self.wait()
        return None, said

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def has_news(what: socket.socket | int, seconds: float | None) -> bool:
    """Whether there is something to read, after ``seconds`` at most (None: however long). A test may have more than the
    1,024 descriptors that select(2) knows."""
    poll = select.poll()
    poll.register(what, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _place() -> tuple[int, ...]:
    """Where this thread is now: its network, its mounts, and as whom."""
    return *(os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in ("net", "mnt")), os.geteuid()


@functools.cache
def _imported(place: tuple[int, ...]) -> socket.socket:
    """The way to the process that has imported everything, in the place it was started from. It ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL, env=ENVIRONMENT, cwd="/", pass_fds=[theirs.fileno()],
        )  # fmt: skip

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def main() -> int:
    """In that process: a child for each request. Returns in the child, whose streams and environment are as asked."""
    import cgstatd.cli.main
    import cgstatd.service.serving

    gc.freeze()  # a child need not look through what was imported, as it would thrice at its end
    asked = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    while True:
        request, fds, _, _ = socket.recv_fds(asked, 1 << 20, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0 if not request else os.WNOHANG)[0]:
                pass
        if not request:
            return 0
        if os.fork() == 0:
            asked.close()
            arguments, environment = json.loads(request)
            _child(fds)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["cgstatd", *arguments]
            return cgstatd.cli.main.main(arguments)
        for fd in fds:
            os.close(fd)


def _child(fds: list[int]) -> None:
    """Returns in a child of this process, which tells how that one ends."""
    *streams, says = fds
    pid = os.fork()
    if pid:
        _tell(pid, streams, socket.socket(fileno=says))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(says)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)


def _tell(pid: int, streams: list[int], says: socket.socket) -> NoReturn:
    for fd in streams:
        os.close(fd)
    says.send(str(pid).encode())
    status = os.waitpid(pid, 0)[1]
    says.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
