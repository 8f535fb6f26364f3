"""Plays a recorded tree of two readings as if it went on: what moved between them keeps moving at the recorded pace.

A copy of the tree is rewritten ten times a second: gauges take the values of t0 and t1 in turn, one recorded interval
each, and counters (cpu, I/O, network) go on by what they grew between t0 and t1. The clock is real, but stands still
between two steps like the counters, so that rates are exact over any window. So a machine without containers shows
live, plausible figures, and every reader sees what it would see on that host.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cgroupfs import Clock, Root

from .recorded import Reading, RecordedRoot

_COUNTERS = re.compile(
    r"cpu\.stat|cpuacct\..*|io\.stat|blkio\..*|.*/net/dev|stat|uptime|memory\.failcnt|.*\.pressure|memory\.events"
)
_CPU = re.compile(r"cpu\.stat|cpuacct\..*")
_NUMBER = re.compile(rb"\d+")
STEP_SECONDS = 0.1


def advanced(first: bytes, second: bytes, laps: float) -> bytes:
    """``second``, every number that grew since ``first`` grown ``laps`` times more; as is where the shapes differ."""
    before = [int(n) for n in _NUMBER.findall(first)]
    parts = _NUMBER.split(second)
    after = [int(n) for n in _NUMBER.findall(second)]
    if len(before) != len(after) or _NUMBER.split(first) != parts:
        return second
    numbers = [b"%d" % (b + int(max(0, b - a) * laps)) for a, b in zip(before, after, strict=True)]
    return b"".join(part + number for part, number in zip(parts, [*numbers, b""], strict=True))


class _Changing(NamedTuple):
    """A file that is not the same in both readings."""

    name: str
    before: bytes
    after: bytes
    counter: bool
    pace: float
    """The host's recorded interval over this file's own: reading a whole host takes a while."""

    def at(self, laps: float) -> bytes:
        """The content ``laps`` recorded intervals after the second reading."""
        if self.counter:
            return advanced(self.before, self.after, laps * self.pace)
        return self.before if int(laps) % 2 else self.after


def _paces(first: Reading, second: Reading) -> Iterator[tuple[str, float]]:
    """(path, pace) of the container cgroups that are in both readings."""
    interval = second.monotonic_ns - first.monotonic_ns
    for path, at in second.clocks.items():
        before = first.clocks.get(path)
        if before is not None and at.monotonic_ns > before.monotonic_ns:
            yield path, interval / (at.monotonic_ns - before.monotonic_ns)


class Replay:
    """Rewrites the files that change, in a thread of its own."""

    def __init__(self, first: RecordedRoot, second: RecordedRoot, directory: str) -> None:
        self._directory = directory
        self._interval = max(0.5, (second.reading.monotonic_ns - first.reading.monotonic_ns) / 1e9)
        self._paces = dict(_paces(first.reading, second.reading))
        self._stop = threading.Event()
        self._changing: list[_Changing] = []
        shutil.copytree(second.path, directory, symlinks=True, dirs_exist_ok=True)
        for base, _, names in os.walk(second.path):
            relative = os.path.relpath(base, second.path)
            for name in names:
                self._compare(first.path, second.path, os.path.normpath(f"{relative}/{name}"))
        self._changing.sort(
            key=lambda file: _CPU.fullmatch(os.path.basename(file.name)) is None
        )  # right after the clock
        self._laps = 0.0
        self._thread = threading.Thread(target=self._run, name="cgstatd-replay", daemon=True)
        self.clock = Root.clock(second)
        """When the files were rewritten last."""

    def _compare(self, first: str, second: str, name: str) -> None:
        if not name.startswith(("sys/", "proc/")):
            return
        try:
            with open(f"{first}/{name}", "rb") as a, open(f"{second}/{name}", "rb") as b:
                before, after = a.read(), b.read()
        except OSError:
            return
        if before != after:
            short = name if name.endswith("/net/dev") else os.path.basename(name)
            pace = next((pace for path, pace in self._paces.items() if f"{path}/" in name), 1.0)
            self._changing.append(_Changing(name, before, after, _COUNTERS.fullmatch(short) is not None, pace))

    def _run(self) -> None:
        began = self.clock.monotonic_ns
        while not self._stop.wait(STEP_SECONDS):
            now = Clock(time.monotonic_ns(), time.time_ns() // 1_000_000)
            self.step((now.monotonic_ns - began) / 1e9 / self._interval, now)

    def step(self, laps: float, clock: Clock) -> None:
        """Write what is to be read ``laps`` intervals after the second reading, in place: readers keep files open."""
        turn = int(laps) != int(self._laps)
        self.clock, self._laps = clock, laps
        for file in self._changing:
            if file.counter or turn:
                with contextlib.suppress(OSError), open(f"{self._directory}/{file.name}", "r+b") as opened:
                    opened.write(file.at(laps))
                    opened.truncate()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        self._thread.join()


class ReplayedRoot(RecordedRoot):
    """The copy that is being rewritten: inodes and owners as recorded, time as the replay has it."""

    __slots__ = ("_replay",)

    def __init__(self, path: str, reading: Reading, replay: Replay) -> None:
        super().__init__(path, reading)
        self._replay = replay

    def clock(self, path: str = "") -> Clock:
        """When the files were rewritten last, a tenth of a second ago at most."""
        return self._replay.clock


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
            yield ReplayedRoot(directory, second.reading, replay)
        finally:
            replay.stop()
