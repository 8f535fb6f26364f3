"""The sets of fields that have a name: the record of each controller, limits, vitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .absent import Limit, Missing
from .controllers.cpu import Cpu
from .controllers.io import Devices, Io
from .controllers.memory import Memory
from .controllers.pids import Pids
from .controllers.psi import Pressure
from .reader import Selection, record

CPU = record(Cpu, "cpu")
MEMORY = record(Memory, "memory")
PIDS = record(Pids, "pids")
PRESSURE = record(Pressure, "pressure")


def _io(found: Devices | None, missing: tuple[Missing, ...]) -> Io:
    return Io(found.devices, found.source, missing) if found else Io(None, "", missing)


IO = Selection(lambda values, missing: _io(values[0], missing), ["io.devices"])


@dataclass(frozen=True, slots=True)
class Limits:
    """A cgroup's own limits, without those of its ancestors. The root has none. None: see ``missing``."""

    cpu_quota_usec: Limit
    cpu_period_usec: int | None
    cpu_shares: int | None
    memory_max_bytes: Limit
    pids_max: Limit
    missing: tuple[Missing, ...]

    @property
    def cpu_cores(self) -> float | None:
        """The CPU quota in cores; None: no quota, or not known."""
        quota, period = self.cpu_quota_usec, self.cpu_period_usec
        return quota / period if isinstance(quota, int) and period else None


LIMITS = Selection(
    lambda values, missing: Limits(*(*values, missing)),
    ("cpu.quota_usec", "cpu.period_usec", "cpu.shares", "memory.max_bytes", "pids.max"),
)


class Vitals(NamedTuple):
    """What a watcher compares from one look to the next: tasks, processes killed for want of memory, peak of memory.

    None: the kernel does not say; :meth:`cgroupfs.Cgroup.memory` and :meth:`~cgroupfs.Cgroup.pids` say why.
    """

    pids: int | None
    oom_kills: int | None
    peak_bytes: int | None


VITALS = Selection(lambda values, _: Vitals(*values), ("pids.current", "memory.events.oom_kill", "memory.peak_bytes"))
