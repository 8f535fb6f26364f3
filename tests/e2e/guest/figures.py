"""What an engine, or the kernel read by the tests themselves, says of one container; and how far the agent is off."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")
IS_V2 = (CGROUPS / "cgroup.controllers").exists()
PAGE = os.sysconf("SC_PAGE_SIZE")
CPUS = os.sysconf("SC_NPROCESSORS_ONLN")


ALLOWED = {"memory": PAGE, "limit": 0, "network": 1514, "block": PAGE, "cpu": 2.0}
"""The largest differences that pass: one page, one full Ethernet frame, two points."""
_TICKS_LOST = 0.02


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading. ``cpu``, ``clock``: nanoseconds; ``ticks``: the host's CPU time, where the engine divides by it."""

    memory: int
    limit: int
    rx: int
    tx: int
    read: int
    write: int
    cpu: int
    clock: int
    ticks: int = 0


def cpu_percent(before: Figures, after: Figures) -> float:
    """100 for each core fully used.

    Docker divides by /proc/stat's ticks. An emulated host that is short of CPU itself loses ticks (5.3 s of them in 6.4
    s); then, and only then, the engine's counter is divided by the time that passed.
    """
    passed: float
    passed, ticks = after.clock - before.clock, (after.ticks - before.ticks) / CPUS
    if ticks and abs(ticks / passed - 1) < _TICKS_LOST:
        passed = ticks
    return (after.cpu - before.cpu) / passed * 100


def memory_total() -> int:
    """MemTotal, in bytes."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def differences(before: Figures, agent: Mapping[str, Any], after: Figures, *, cpu: bool = True) -> dict[str, float]:
    """How far the agent's figures are outside of what was read just before and just after it; 0 is equal."""
    found: dict[str, float] = {
        "memory": _outside(agent["memoryUsage"], before.memory, after.memory),
        "limit": _outside(agent["memoryLimit"], before.limit, after.limit),
        "network": max(
            _outside(agent["networkRx"], before.rx, after.rx), _outside(agent["networkTx"], before.tx, after.tx)
        ),
        "block": max(
            _outside(agent["blockRead"], before.read, after.read),
            _outside(agent["blockWrite"], before.write, after.write),
        ),
    }
    if cpu:
        found["cpu"] = round(abs(agent["cpuPercent"] - cpu_percent(before, after)), 2)
    return found


def _outside(value: int, one: int, other: int) -> int:
    low, high = sorted((one, other))
    return max(low - value, value - high, 0)


def kernel_figures(cgroup: str, pid: int) -> Figures:
    """The kernel's own files, by a path that the engine (not the agent) names; ``pid``: any process inside, or 0."""
    cpu, clock = _cpu(cgroup), time.monotonic_ns()
    read, write = _block(cgroup)
    rx, tx = _network(pid) if pid else (0, 0)
    total = memory_total()
    if IS_V2:
        directory = CGROUPS / cgroup.strip("/")
        current, cache = _number(directory / "memory.current"), _keyed(directory / "memory.stat")["inactive_file"]
        limit_text = (directory / "memory.max").read_text().strip()
        limit = total if limit_text == "max" else int(limit_text)
    else:
        directory = CGROUPS / "memory" / cgroup.strip("/")
        current = _number(directory / "memory.usage_in_bytes")
        cache = _keyed(directory / "memory.stat")["total_inactive_file"]
        limit = _number(directory / "memory.limit_in_bytes")
    return Figures(
        memory=current - cache if cache < current else current,
        limit=min(limit, total),
        rx=rx, tx=tx, read=read, write=write,
        cpu=cpu, clock=clock,
    )  # fmt: skip


def _number(path: Path) -> int:
    return int(path.read_text())


def _keyed(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {key: int(value) for key, value in pairs}


def _cpu(cgroup: str) -> int:
    if IS_V2:
        return _keyed(CGROUPS / cgroup.strip("/") / "cpu.stat")["usage_usec"] * 1000
    return _number(CGROUPS / "cpu,cpuacct" / cgroup.strip("/") / "cpuacct.usage")


def _block(cgroup: str) -> tuple[int, int]:
    if IS_V2:
        path = CGROUPS / cgroup.strip("/") / "io.stat"
        text = path.read_text() if path.exists() else ""
        return sum(map(int, re.findall(r"rbytes=(\d+)", text))), sum(map(int, re.findall(r"wbytes=(\d+)", text)))
    path = CGROUPS / "blkio" / cgroup.strip("/") / "blkio.throttle.io_service_bytes"
    text = path.read_text() if path.exists() else ""  # systemd makes a cgroup where accounting is on, else none
    return sum(map(int, re.findall(r" Read (\d+)", text))), sum(map(int, re.findall(r" Write (\d+)", text)))


def _network(pid: int) -> tuple[int, int]:
    """The container's side; none of its own where it shares the host's."""
    if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/1/ns/net"):
        return 0, 0
    rx = tx = 0
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, _, counters = line.partition(":")
        if name.strip() != "lo":
            fields = counters.split()
            rx, tx = rx + int(fields[0]), tx + int(fields[8])
    return rx, tx
