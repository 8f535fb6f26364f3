"""Whether the clock and the number of cores make sense: time stamps, rates and percentages rest on them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from cgroupfs import Root

from .examination import Examination
from .findings import COSTS, NOTE, OK, Finding, Section, some

_EARLIEST = 1_735_689_600  # 2025: a clock before this was never set
_STEP_MS = 200
_STEAL = 0.1
ONLINE = "/sys/devices/system/cpu/online"


def section(found: Examination) -> Section:
    """The clock, the cores, and what a hypervisor takes of them."""
    return Section("Clock and cores", [*_clock(found), *_cores(found)])


def _clock(found: Examination) -> Iterator[Finding]:
    now = found.after.clock.time_ms / 1000
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _EARLIEST:
        costs = "true time stamps; TLS clients may refuse certificates as not valid yet"
        yield Finding(COSTS, f"the clock says {shown}", costs, "set it: timedatectl set-ntp true")
        return
    monotonic_ms = (found.after.clock.monotonic_ns - found.before.clock.monotonic_ns) / 1e6
    wall_ms = found.after.clock.time_ms - found.before.clock.time_ms
    if found.live and abs(wall_ms - monotonic_ms) > _STEP_MS:
        what = f"the clock was moved by {(wall_ms - monotonic_ms) / 1000:+.1f} s while this ran"
        yield Finding(NOTE, f"{what}; rates are right all the same, they use the monotonic clock")
        return
    yield Finding(OK, shown if found.live else f"{shown}, when it was recorded")


def _cores(found: Examination) -> Iterator[Finding]:
    cpu, before = found.after.cpu, found.before.cpu
    if cpu is None or cpu.cores == 0:
        what = "/proc/stat does not say how many cores there are"
        yield Finding(COSTS, what, "the host's CPU %", "mount the host's /proc below /host")
        return
    online = _online(found.root)
    if online is not None and online != cpu.cores:
        what = f"/proc/stat shows {some(cpu.cores, 'core')}, the kernel has {online}: something (lxcfs) shows another "
        yield Finding(NOTE, what + "/proc here; percentages of containers are right, the host's are of what is shown")
    else:
        yield Finding(OK, some(cpu.cores, "core"))
    ticks = cpu.total - before.total if before else 0
    stolen = (found.after.steal_ticks - found.before.steal_ticks) / ticks if ticks > 0 else 0.0
    if stolen > _STEAL:
        what = f"the hypervisor gave {stolen:.0%} of this machine's time to others just now"
        yield Finding(NOTE, f"{what}: a busy container gets less than 100 % of a core")


def _online(root: Root) -> int | None:
    """``0-3,6``"""
    try:
        parts = root.read(ONLINE).decode("ascii").strip().split(",")
        ranges = [part.partition("-") for part in parts]
        return sum(int(last or first) - int(first) + 1 for first, _, last in ranges)
    except (OSError, ValueError):
        return None
