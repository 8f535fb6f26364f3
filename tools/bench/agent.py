"""The whole agent in a process of its own, as an operator starts it."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from clients import get
from measure import cpu_nsec, descriptors, rss_mb

ARRAY = "/api/containers/stats"
STREAM = "/api/containers/stats/stream"


_COMPILE = """
import compileall, pathlib, cgroupfs, cgstatd
for each in cgroupfs, cgstatd:
    compileall.compile_dir(pathlib.Path(each.__file__).parent, quiet=2)
"""


@functools.cache
def compiled(python: str) -> str:
    """That interpreter, its checkout's modules compiled once, as every installer does: else a start would be timed in
    which Python compiles them, again and again where it may not write them down (PYTHONDONTWRITEBYTECODE)."""
    subprocess.run([python, "-c", _COMPILE], check=True)
    return python


class Agent:
    """A running agent. ``nofile``: the limit on descriptors it is started with; ``freshness``: seconds, its option."""

    def __init__(
        self,
        directory: str,
        nofile: int | None = None,
        freshness: float | None = None,
        options: Sequence[str] = ("--max-cpu", "0"),
        python: str = sys.executable,
    ) -> None:
        """``python``: of the checkout that is started. Without ``options`` every round is a reading, whatever it costs
        (max_cpu would stretch the dearest)."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.nofile = nofile
        self._log = f"{directory}/agent-{self.port}.log"

        def limit() -> None:
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        python = compiled(python)
        began = time.monotonic()
        with open(self._log, "wb") as log:
            # limits as the unit has them: one address may hold 128 connections, 100 clients and 50 requesters are fewer
            options = [*options, *([] if freshness is None else ["--freshness", str(freshness)])]
            self._process = subprocess.Popen(
                [python, "-m", "cgstatd", "serve", "--listen", f"127.0.0.1:{self.port}", *options],
                stderr=log,
                preexec_fn=limit,  # noqa: PLW1509  no thread runs yet
            )
        self.pid = self._process.pid
        self._wait_until_it_listens()
        asked = time.monotonic()
        get(self.port, ARRAY)
        self.first_answer_ms = (time.monotonic() - asked) * 1000
        """Of the first request, from when it could be made."""
        self.start_to_answer_ms = (time.monotonic() - began) * 1000
        """From the start of the process."""

    def _wait_until_it_listens(self) -> None:
        while self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
            except OSError:
                time.sleep(0.002)
            else:
                return
        raise SystemExit(f"bench: the agent does not start: {self.log()[-2000:]}")

    def log(self) -> str:
        """What it said."""
        with open(self._log, errors="replace") as file:
            return file.read()

    def complaints(self) -> list[str]:
        """The warnings and errors among it."""
        return [line for line in self.log().splitlines() if not line.startswith("level=info")]

    def cpu(self) -> int:
        """CPU nanoseconds so far."""
        return cpu_nsec([self.pid])

    def rss_mb(self) -> float:
        """Resident megabytes."""
        return rss_mb(self.pid)

    def descriptors(self) -> int:
        """Open descriptors."""
        return descriptors(self.pid)

    def descriptor_limit(self) -> int:
        """Its limit now: it raises the soft one itself."""
        return resource.prlimit(self.pid, resource.RLIMIT_NOFILE)[0]

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def agent(directory: str, nofile: int | None = None, freshness: float | None = None) -> Iterator[Agent]:
    """A running agent."""
    made = Agent(directory, nofile, freshness)
    try:
        yield made
    finally:
        made.stop()


def foreign(running: Agent, ours: int) -> int:
    """How many containers it sees that are not ours: they are read too, and paid for."""
    return get(running.port, STREAM).count(b"event: stat") - ours


def lifted_descriptor_limit() -> None:
    """A shell's limit may be smaller than the unit's 65,536: where we may, raise it for what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    os.environ.pop("CGSTATD_CONFIG", None)  # an operator's own settings are not what is measured
