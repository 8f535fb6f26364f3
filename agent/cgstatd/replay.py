"""Plays a recorded tree of two readings as if it went on: what moved between them keeps moving at the recorded pace.

A copy of the tree is rewritten once per recorded interval: gauges take the values of t0 and t1 in turn, counters (cpu,
I/O, network) go on by what they grew between t0 and t1, and time is real. So a machine without containers shows live,
plausible figures, and every reader sees what it would see on that host.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence

from cgroupfs import Clock, Root

from .recorded import Reading, RecordedRoot

_COUNTERS = re.compile(
    r"cpu\.stat|cpuacct\..*|io\.stat|blkio\..*|.*/net/dev|stat|memory\.failcnt|.*\.pressure|memory\.events"
)
_NUMBER = re.compile(rb"\d+")


class ReplayedRoot(RecordedRoot):
    """The copy that is being rewritten: inodes and owners as recorded, time as it is."""

    __slots__ = ()

    def clock(self, path: str = "") -> Clock:
        """Now."""
        return Root.clock(self, path)


def advanced(first: bytes, second: bytes, laps: int) -> bytes:
    """``second``, every number that grew since ``first`` grown ``laps`` times more; as is where the shapes differ."""
    before = [int(n) for n in _NUMBER.findall(first)]
    parts = _NUMBER.split(second)
    after = [int(n) for n in _NUMBER.findall(second)]
    if len(before) != len(after) or _NUMBER.split(first) != parts:
        return second
    numbers = [b"%d" % (b + max(0, b - a) * laps) for a, b in zip(before, after, strict=True)]
    return b"".join(part + number for part, number in zip(parts, [*numbers, b""], strict=True))


class Replay:
    """Rewrites the files that change, in a thread of its own."""

    def __init__(self, first: RecordedRoot, second: RecordedRoot, directory: str) -> None:
        self._directory = directory
        self._interval = max(0.5, (second.reading.monotonic_ns - first.reading.monotonic_ns) / 1e9)
        self._stop = threading.Event()
        self._changing: list[tuple[str, bytes, bytes]] = []
        shutil.copytree(second.path, directory, symlinks=True, dirs_exist_ok=True)
        for base, _, names in os.walk(second.path):
            relative = os.path.relpath(base, second.path)
            for name in names:
                self._compare(first.path, second.path, os.path.normpath(f"{relative}/{name}"))
        self._thread = threading.Thread(target=self._run, name="cgstatd-replay", daemon=True)

    def _compare(self, first: str, second: str, name: str) -> None:
        if not name.startswith(("sys/", "proc/")):
            return
        try:
            with open(f"{first}/{name}", "rb") as a, open(f"{second}/{name}", "rb") as b:
                before, after = a.read(), b.read()
        except OSError:
            return
        if before != after:
            self._changing.append((name, before, after))

    def _run(self) -> None:
        lap = 0
        while not self._stop.wait(self._interval):
            lap += 1
            self.step(lap)

    def step(self, lap: int) -> None:
        """Write the files of one lap, in place: readers keep them open."""
        for name, before, after in self._changing:
            short = name.rpartition("/")[2] if not name.endswith("/net/dev") else name
            data = advanced(before, after, lap) if _COUNTERS.fullmatch(short) else (before if lap % 2 else after)
            with contextlib.suppress(OSError), open(f"{self._directory}/{name}", "r+b") as file:
                file.write(data)
                file.truncate()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def replayed(roots: Sequence[Root]) -> Iterator[Root]:
    """The root to serve: the only one there is, or the two readings of a recorded tree played on."""
    first, second = roots[0], roots[-1]
    if len(roots) == 1 or not isinstance(first, RecordedRoot) or not isinstance(second, RecordedRoot):
        yield first
        return
    with tempfile.TemporaryDirectory(prefix="cgstatd-replay-") as directory:
        replay = Replay(first, second, directory)
        replay.start()
        try:
            at = second.reading
            yield ReplayedRoot(directory, Reading(monotonic_ns=at.monotonic_ns, time_ms=at.time_ms, files=at.files))
        finally:
            replay.stop()
