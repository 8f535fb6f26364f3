"""A cgroup with the memory and the CPU weight that the unit gives the agent, on v1 and on v2."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

UNIT = Path(__file__).parents[2] / "systemd/cgstatd.service"
ROOT = Path("/sys/fs/cgroup")
_SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


USUAL_WEIGHT = 100
"""Of a unit that names none (systemd.resource-control(5))."""


def of_the_unit(key: str, usual: int | None = None) -> int:
    """A number of the unit file; ``usual``: what holds where it names none."""
    found = re.search(rf"(?m)^{key}=(\d+)([KMG]?)$", UNIT.read_text())
    if found is None and usual is not None:
        return usual
    assert found, key
    return int(found[1]) * _SUFFIX[found[2]]


@dataclass(frozen=True)
class Bounds:
    """The directories: one on v2, one for each of memory and cpu on v1."""

    memory: Path
    cpu: Path

    @property
    def v1(self) -> bool:
        return self.memory != self.cpu

    def prefix(self) -> tuple[str, ...]:
        """What starts a command that it is put before: in the cgroup before its first page."""
        moves = "".join(f"echo $$ > {folder}/cgroup.procs && " for folder in {self.memory, self.cpu})
        return ("sh", "-c", f'{moves}exec "$0" "$@"')

    def kills(self) -> int:
        """How many processes were killed for want of memory."""
        name = "memory.oom_control" if self.v1 else "memory.events"
        found = re.search(r"(?m)^oom_kill (\d+)", (self.memory / name).read_text())
        return int(found[1]) if found else 0

    def most_mib(self) -> float:
        """The most memory that it ever had, page cache and the kernel's included."""
        name = "memory.max_usage_in_bytes" if self.v1 else "memory.peak"
        return int((self.memory / name).read_text()) / (1 << 20)


@contextmanager
def bounds(name: str, memory: int = 0) -> Iterator[Bounds]:
    """Made, and removed once its processes have ended. ``memory``: another limit than the unit's, in bytes."""
    v1 = (ROOT / "memory/memory.limit_in_bytes").exists()
    found = Bounds(ROOT / "memory" / name, ROOT / "cpu" / name) if v1 else Bounds(ROOT / name, ROOT / name)
    weight, memory = of_the_unit("CPUWeight", USUAL_WEIGHT), memory or of_the_unit("MemoryMax")
    try:
        for folder in (found.memory, found.cpu):
            folder.mkdir(exist_ok=True)
        (found.memory / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(memory))
        if v1:
            (found.cpu / "cpu.shares").write_text(str(weight * 1024 // 100))
        else:
            (found.cpu / "cpu.weight").write_text(str(weight))
        yield found
    finally:
        for folder in (found.memory, found.cpu):
            _remove(folder)


@contextmanager
def giving_way(within: Bounds) -> Iterator[None]:
    """This process, and what it starts, has a tenth of the weight of what is ``within``, as if that were niced less by
    ten: nice(2) itself counts within a session only where sched_autogroup is on, and not between cgroups."""
    folder = within.cpu.with_name(f"{within.cpu.name}-giving-way")
    before = ROOT / ("cpu" if within.v1 else "") / _own_cgroup(v1=within.v1).lstrip("/")
    try:
        folder.mkdir(exist_ok=True)
        name = "cpu.shares" if within.v1 else "cpu.weight"
        (folder / name).write_text(str(max(int((within.cpu / name).read_text()) // 10, 2)))
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (before / "cgroup.procs").write_text(str(os.getpid()))
        _remove(folder)


def _own_cgroup(*, v1: bool) -> str:
    """Of this process, in the hierarchy of the controller cpu."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return next(path for _, names, path in lines if ("cpu" in names.split(",") if v1 else not names))


def _remove(folder: Path) -> None:
    for _ in range(50):
        with suppress(FileNotFoundError):
            try:
                os.rmdir(folder)
            except OSError:
                time.sleep(0.1)
                continue
        return
