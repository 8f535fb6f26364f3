"""Which of a container's processes is its first: the one whose end is the container's end.

The runtime's word counts where it has one. Else a container with a pid namespace of its own has a process that is 1
in it, and the kernel ends all others with it (pid_namespaces(7)). Without such a namespace (a service, ``--pid=host``)
the oldest process counts: what a service manager starts first, and what is left of it later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cgroupfs import ParseError, Root

from .procfs.pid_stat import parse_namespace_pids
from .procfs.pid_status import parse_start_ticks

MOST = 512
"""Processes that are looked at; of a container with more the first is known only if the runtime or a namespace of its
own tells it."""


class First(NamedTuple):
    """A container's first process."""

    pid: int
    certain: bool
    """Whether its end ends the container: the runtime says so, or the kernel does."""


def first_process(root: Root, pids: Sequence[int], told: int | None) -> First | None:
    """Of the processes in a container's cgroup, at most MOST; None: all of them have ended, or it cannot be told.

    ``told``: by the runtime.
    """
    if told is not None and told in pids:
        return First(told, True)
    inits: list[tuple[int, int]] = []
    oldest: list[tuple[int, int]] = []
    for pid in pids:
        try:
            inside = parse_namespace_pids(root.read(f"/proc/{pid}/status"))
            oldest.append((parse_start_ticks(root.read(f"/proc/{pid}/stat")), pid))
        except (OSError, ParseError):
            continue
        if len(inside) > 1 and inside[-1] == 1:
            inits.append((len(inside), pid))
    if inits:  # of an engine's own containers inside the container the namespaces are deeper
        return First(min(inits)[1], True)
    return First(min(oldest)[1], False) if oldest and len(pids) < MOST else None
