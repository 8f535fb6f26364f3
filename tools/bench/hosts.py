"""Containers to measure: cgroups of ours, each with a process of its own in a network namespace of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cgroupfs import Hierarchy, Mount, Root, Version, detect

PARENT = "cgstatd-bench-"
FILES = {
    Version.V1: (
        ("cpuacct", "cpuacct.usage"),
        ("memory", "memory.usage_in_bytes"),
        ("memory", "memory.stat"),
        ("memory", "memory.limit_in_bytes"),
        ("io", "blkio.throttle.io_service_bytes"),
    ),
    Version.V2: (
        ("cpuacct", "cpu.stat"),
        ("memory", "memory.current"),
        ("memory", "memory.stat"),
        ("memory", "memory.max"),
        ("io", "io.stat"),
    ),
}


class Containers(Protocol):
    """Containers that run: ids, and a line for each that tells the floor program what to read."""

    @property
    def ids(self) -> list[str]:
        """Full ids."""

    @property
    def lines(self) -> list[str]:
        """See ``floor_line``."""


def floor_line(hierarchy: Hierarchy, path: str, pid: int) -> str:
    """The six files of a reading; ``-`` where there is none (a controller that is off)."""
    mounts = dict(hierarchy.bound)
    found = []
    for controller, name in FILES[mounts["memory"].version]:
        file = f"{mounts[controller].point}{path}/{name}" if controller in mounts else "-"
        found.append(file if os.path.exists(file) else "-")
    return " ".join([*found, f"/proc/{pid}/net/dev"])


@dataclass(frozen=True)
class Made:
    """One container of ours."""

    id: str
    process: subprocess.Popen[bytes]
    line: str


class Host:
    """Makes and removes such containers."""

    def __init__(self, programs: str, scratch: str) -> None:
        self._programs = programs
        self._scratch = scratch
        self._hierarchy = detect(Root("/"))
        self._trees = [m for m in self._hierarchy.trees if m.controllers or m.version is Version.V1]
        self._name = f"{PARENT}{os.getpid()}"
        self._numbers = itertools.count()
        self._made: dict[str, Made] = {}
        self.ended: set[int] = set()
        """Processes that were the containers'."""
        self.interfaces = True
        """Whether the namespaces have an interface besides lo."""
        _remove_leftovers(self._trees)
        self._parents = [_prepare(mount, self._name) for mount in self._trees]

    @property
    def ids(self) -> list[str]:
        """Full ids, oldest first."""
        return list(self._made)

    @property
    def name(self) -> str:
        """The directory of their cgroups."""
        return self._name

    @property
    def live(self) -> set[int]:
        """Their processes."""
        return {made.process.pid for made in self._made.values()}

    @property
    def lines(self) -> list[str]:
        """What the floor program reads."""
        return [made.line for made in self._made.values()]

    def add(self, count: int, work: str = "idle") -> list[str]:
        """Make so many more; they are all in place when this returns. Their ids."""
        reading, writing = os.pipe()
        try:
            new = [self._add(work, writing) for _ in range(count)]
        finally:
            os.close(writing)
        with open(reading, "rb") as ready:
            said = ready.read()  # until the last one has closed its end
        self.interfaces = self.interfaces and said == b"e" * count
        if len(said) != count:
            raise SystemExit(f"bench: {count - len(said)} of {count} processes could not be put into their cgroup")
        return new

    def _add(self, work: str, ready: int) -> str:
        # Its name is the first twelve digits: another bench on this host has other ones.
        each = f"be{next(self._numbers):05x}{os.getpid() & 0xFFFFF:05x}{0:052x}"
        directories = [f"{parent}/{each}" for parent in self._parents]
        for made in directories:
            os.mkdir(made)
            if os.path.exists(f"{made}/cpuset.cpus") and self._hierarchy.mode != "unified":
                _inherit_cpuset(os.path.dirname(made), made)
        process = subprocess.Popen(
            [f"{self._programs}/worker", work, self._scratch, *(f"{made}/cgroup.procs" for made in directories)],
            stdin=subprocess.DEVNULL,
            stdout=ready,
        )
        self._made[each] = Made(each, process, floor_line(self._hierarchy, f"/{self._name}/{each}", process.pid))
        return each

    def remove(self, ids: list[str]) -> None:
        """End them and remove their cgroups."""
        gone = [self._made.pop(each) for each in ids]
        for made in gone:
            made.process.kill()
        for made in gone:
            made.process.wait()
            self.ended.add(made.process.pid)
        _rmdir([f"{parent}/{made.id}" for parent in self._parents for made in gone])

    def close(self) -> None:
        """Remove everything."""
        self.remove(self.ids)
        _rmdir(self._parents)


@contextlib.contextmanager
def host(programs: str, scratch: str) -> Iterator[Host]:
    """A host without containers, cleaned up at the end."""
    made = Host(programs, scratch)
    try:
        yield made
    finally:
        made.close()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _inherit_cpuset(parent: str, child: str) -> None:
    """v1: a process cannot be moved to where no CPU and no memory node is allowed yet."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with open(f"{parent}/{name}") as file:
            _write(f"{child}/{name}", file.read())


def _prepare(mount: Mount, name: str) -> str:
    """The parent directory in one hierarchy, with its controllers enabled for the children."""
    parent = f"{mount.point}/{name}"
    os.makedirs(parent, exist_ok=True)
    if mount.version is Version.V2:
        for directory in (mount.point, parent):
            for controller in ("cpu", "memory", "io", "pids"):
                with contextlib.suppress(OSError):
                    _write(f"{directory}/cgroup.subtree_control", f"+{controller}")
    elif "cpuset" in mount.controllers:
        _inherit_cpuset(mount.point, parent)
    return parent


def _remove_leftovers(trees: list[Mount]) -> None:
    """What a bench that was killed could not remove; its processes died with it."""
    for mount in trees:
        for name in os.listdir(mount.point):
            if name.startswith(PARENT) and not os.path.exists(f"/proc/{name.removeprefix(PARENT)}"):
                old = f"{mount.point}/{name}"
                _rmdir([*(each.path for each in os.scandir(old) if each.is_dir()), old])


def _rmdir(directories: list[str]) -> None:
    """Remove cgroups; one whose process has just died is busy for a moment."""
    for _ in range(100):
        left = []
        for directory in directories:
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError:
                left.append(directory)
        if not left:
            return
        directories = left
        time.sleep(0.1)
