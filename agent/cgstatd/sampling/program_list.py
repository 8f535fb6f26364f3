"""A container's processes for ``top``: who, whose child, since when, how much CPU; the program's name alone.

Those of its nested cgroups are its own, too (a container with systemd, or an engine, in it has most there). Source:
/proc/<pid>/stat (comm, ppid, utime, stime, starttime, what ps shows beside); its owner is that of /proc/<pid>.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cgroupfs import CgroupGone, ParseError

from ..basics.text import printable
from ..host.procfs.pid_stat import PidJob, PidStat, parse_job, parse_parent, parse_stat
from .container import Container
from .processes import TICKS
from .reading_failed import ReadingFailed
from .sampler import Sampler

MOST = 512


class ProcessRow(NamedTuple):
    """One process."""

    uid: int
    pid: int
    parent: int
    cpu_seconds: float
    started_seconds: float | None
    """Unix time."""
    program: str
    state: str
    """The kernel's letter."""
    threads: int
    job: PidJob


PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def program_list(sampler: Sampler, container: Container) -> list[ProcessRow] | None:
    """The first :data:`MOST` of them; None: the container is gone. Raises ReadingFailed."""
    root = sampler.root
    stat = sampler.host.stat()
    boot = None if stat is None else stat.boot_seconds
    try:
        with container.reading() as cgroup:
            rows: list[ProcessRow] = []
            for pid in sorted(cgroup.population(MOST).listed):
                try:
                    data = root.read(f"/proc/{pid}/stat")
                    uid = root.identity(f"/proc/{pid}").uid
                    rows.append(_row(pid, uid, data, boot))
                except (OSError, ParseError):
                    continue  # it has ended
    except CgroupGone:
        return None
    except OSError as error:
        raise ReadingFailed(f"cannot read {error.filename or container.ref.path}: {error.strerror}") from error
    return rows


def _row(pid: int, uid: int, data: bytes, boot: int | None) -> ProcessRow:
    """Raises ParseError."""
    found: PidStat = parse_stat(data)
    name, parent = parse_parent(data)
    started = None if boot is None else boot + found.start_ticks / TICKS
    cpu_seconds = found.cpu_ticks / TICKS
    program, state = printable(name, 64), printable(found.state, 1)
    return ProcessRow(uid, pid, parent, cpu_seconds, started, program, state, found.threads, parse_job(data))
