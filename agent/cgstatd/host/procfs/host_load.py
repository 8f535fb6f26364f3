"""/proc/uptime and /proc/loadavg, one line each (Documentation/filesystems/proc.rst)::

138.51 18.18                        seconds since boot, idle seconds of all cores
4.96 1.95 0.72 4/286 2936           load over 1, 5 and 15 minutes, runnable/all tasks, last pid
"""

from __future__ import annotations

import math

from cgroupfs import ParseError

UPTIME = "/proc/uptime"
LOADAVG = "/proc/loadavg"


def _floats(data: bytes, count: int, what: str) -> list[float]:
    try:
        found = [float(token) for token in data.split()[:count]]
    except ValueError:
        found = []
    if len(found) < count or not all(map(math.isfinite, found)):
        raise ParseError(f"not a {what} file: {data[:40]!r}")
    return found


def parse_uptime(data: bytes) -> float:
    """Seconds since boot. Raises ParseError."""
    return _floats(data, 1, "uptime")[0]


def parse_loadavg(data: bytes) -> tuple[float, float, float]:
    """Load over 1, 5 and 15 minutes. Raises ParseError."""
    one, five, fifteen = _floats(data, 3, "loadavg")
    return one, five, fifteen
