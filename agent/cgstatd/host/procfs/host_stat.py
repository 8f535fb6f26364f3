"""/proc/stat: the host's CPU time and its boot time.

Sample (Documentation/filesystems/proc.rst, 1.7; USER_HZ ticks: user nice system idle iowait irq softirq steal guest
guest_nice, where guest is in user already)::

    cpu  13065 0 9212 1818 174 0 304 0 0 0
    cpu0 6814 0 4416 885 90 0 149 0 0 0
    btime 1795606461
"""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import ParseError
from cgroupfs.formats import is_number

PATH = "/proc/stat"


class HostCpu(NamedTuple):
    """CPU time of all cores since boot, in ticks."""

    busy: int
    """user + nice + system + irq + softirq."""
    total: int
    """busy + idle + iowait + steal."""
    cores: int
    """Those that are online."""
    boot_seconds: int | None
    """Unix time."""
    steal: int = 0
    """Of the total: what a hypervisor gave to others."""


def parse_host_stat(data: bytes) -> HostCpu:
    """Raises ParseError."""
    lines = [line.split() for line in data.splitlines()]
    everything = next((line for line in lines if line[:1] == [b"cpu"]), [])
    numbers = [int(n) for n in everything[1:9] if is_number(n)]
    if len(numbers) < 4:
        raise ParseError("no line 'cpu <numbers>'")
    user, nice, system, idle, iowait, irq, softirq, steal = (numbers + [0] * 4)[:8]
    busy = user + nice + system + irq + softirq
    cores = sum(line[0].startswith(b"cpu") and line[0] != b"cpu" for line in lines if line)
    boot = next((int(line[1]) for line in lines if len(line) == 2 and line[0] == b"btime" and is_number(line[1])), None)
    return HostCpu(busy, busy + idle + iowait + steal, cores, boot, steal)


MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""The first eight numbers of a line. guest and guest_nice are in user and nice already."""


class CpuTimes(NamedTuple):
    """One CPU's time in each of MODES since boot, in ticks."""

    cpu: str
    """Its number, as the kernel writes it: ``cpu0`` is "0"."""
    ticks: tuple[int, ...]


def parse_cpu_times(data: bytes) -> list[CpuTimes]:
    """Each CPU that is online. Malformed lines are left out. Raises ParseError where there is no good one."""
    found = []
    for line in data.splitlines():
        name, *numbers = line.split() or [b""]
        ticks = numbers[: len(MODES)]
        if name[:3] == b"cpu" and name[3:].isdigit() and len(ticks) >= 4 and all(map(is_number, ticks)):
            known = [int(n) for n in ticks] + [0] * (len(MODES) - len(ticks))
            found.append(CpuTimes(name[3:].decode(), tuple(known)))
    if not found:
        raise ParseError("no line 'cpu<n> <numbers>'")
    return found
