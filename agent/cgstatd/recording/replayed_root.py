"""Plays a recorded tree of two readings as if it went on: figures that moved between them keep moving at that pace.

A copy of the tree is rewritten ten times a second. Gauges take the values of t0 and t1 in turn, one recorded interval
each; high-water marks keep that of t1; counters (cpu, I/O, network) go on growing as they did between t0 and t1. The
clock is real, but like the counters it stands still between two steps, so rates are exact over any window. So a machine
without containers shows live, plausible figures, and every reader sees what it would see on that host.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cgroupfs import Clock, Root

from .own_directory import own_directory
from .recorded_root import Reading, RecordedRoot

_ANY = rb"(\A.*\Z)"
_COUNTERS = tuple(
    (re.compile(names), re.compile(where, re.DOTALL | re.MULTILINE))
    for names, where in (
        (r"cpu\.stat|cpuacct\..*|blkio\..*|memory\.failcnt|memory\.events|net/dev|uptime", _ANY),
        (r"io\.stat", rb"\b[rwd](?:bytes|ios)=(\d+)"),
        (r".*\.pressure|pressure/\w+", rb"\btotal=(\d+)"),
        (r"memory\.stat", rb"^(?:total_)?(?:pg|workingset_|thp_|numa_|zswp(?:in|out|wb))\w* (\d+)"),
        (r"memory\.oom_control", rb"^oom_kill (\d+)"),
        (r"proc/stat", rb"^(?:cpu|intr|ctxt|processes|softirq)\d* ([\d ]+)"),
        (r"\d+/stat", rb"\) \w(?: -?\d+){6}((?: \d+){8})"),  # minor faults to cstime
    )
)
"""(file, where in it the counters are). Every other number is a gauge: averages of pressure, procs_running, sizes."""
_PEAKS = re.compile(r"memory\.peak|memory\.max_usage_in_bytes|pids\.peak")
"""Gauges that never fall."""
_CPU = re.compile(r"cpu\.stat|cpuacct\..*")
_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_SPACES = re.compile(rb" +")
STEP_SECONDS = 0.1


class _Number(NamedTuple):
    """One number of a file that is not the same in both readings."""

    before: float
    after: float
    decimals: int
    counter: bool

    def at(self, laps: float, pace: float) -> bytes:
        value = self.before if int(laps) % 2 and not self.counter else self.after
        grown = max(0, self.after - self.before) * laps * pace if self.counter else 0
        return b"%.*f" % (self.decimals, value + grown) if self.decimals else b"%d" % (value + int(grown))


class Content:
    """A file that is not the same in both readings, and what it holds later."""

    def __init__(self, name: str, first: bytes, second: bytes) -> None:
        """``name``: its last part, with the one before where the last alone does not say what it is."""
        where = next((where for names, where in _COUNTERS if names.fullmatch(name)), None)
        peak = _PEAKS.fullmatch(name) is not None
        self._first = second if peak else first
        self._second = second
        self._between: list[bytes] = []
        self._numbers: list[_Number] = []
        if not peak and _shape(first) == _shape(second):
            self._take_apart([match.span(1) for match in where.finditer(second)] if where else [])
        elif where is not None:
            self._first = second  # counters of another shape (a device more) stay as they are
        self.moves = any(number.counter for number in self._numbers)
        """Whether it is another one at each step; else it takes turns."""

    def _take_apart(self, counters: Sequence[tuple[int, int]]) -> None:
        """Into the numbers that differ and what is between them."""
        end = 0
        for old, new in zip(_NUMBER.finditer(self._first), _NUMBER.finditer(self._second), strict=True):
            if old[0] != new[0]:
                kind: type[int] | type[float] = float if b"." in old[0] + new[0] else int
                counter = any(start <= new.start() < stop for start, stop in counters)
                decimals = len(new[0].partition(b".")[2])
                self._numbers.append(_Number(kind(old[0]), kind(new[0]), decimals, counter))
                self._between.append(self._second[end : new.start()])
                end = new.end()
        self._between.append(self._second[end:])

    def at(self, laps: float, pace: float = 1.0) -> bytes:
        """The content ``laps`` recorded intervals after the second reading: counters go on growing by what they grew,
        gauges take their two values in turn."""
        if not self._numbers:
            return self._first if int(laps) % 2 else self._second
        numbers = [*(number.at(laps, pace) for number in self._numbers), b""]
        return b"".join(part + number for part, number in zip(self._between, numbers, strict=True))


def _shape(data: bytes) -> list[bytes]:
    """What is between the numbers. Columns are padded: a number with a digit more has a space less before it."""
    return _NUMBER.split(_SPACES.sub(b" ", data))


class _Changing(NamedTuple):
    """A file of the copy that changes."""

    name: str
    content: Content
    pace: float
    """The host's recorded interval over this file's own: reading a whole host takes a while."""


def _paces(first: Reading, second: Reading) -> Iterator[tuple[str, float]]:
    """(path, pace) of the container cgroups that are in both readings."""
    interval = second.monotonic_ns - first.monotonic_ns
    for path, at in second.clocks.items():
        before = first.clocks.get(path)
        if before is not None and at.monotonic_ns > before.monotonic_ns:
            yield path, interval / (at.monotonic_ns - before.monotonic_ns)


def _short(name: str) -> str:
    """``a/cpu.stat`` -> ``cpu.stat``; but ``proc/stat``, ``12/stat`` and ``net/dev``: ``stat`` has several meanings."""
    parts = name.split("/")
    two = parts[0] == "proc" and (parts[-1] in ("stat", "dev") or parts[-2] == "pressure")
    return "/".join(parts[-2:] if two else parts[-1:])


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
            pace = next((pace for path, pace in self._paces.items() if f"{path}/" in name), 1.0)
            self._changing.append(_Changing(name, Content(_short(name), before, after), pace))

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
            if file.content.moves or turn:
                with contextlib.suppress(OSError), open(f"{self._directory}/{file.name}", "r+b") as opened:
                    opened.write(file.content.at(laps, file.pace))
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
    with own_directory() as directory:
        replay = Replay(first, second, directory)
        replay.start()
        try:
            yield ReplayedRoot(directory, second.reading, replay)
        finally:
            replay.stop()
