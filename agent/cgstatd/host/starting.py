"""What an engine's state says of a container that it is just starting: the cgroup is new, the state is old.

An engine makes the cgroup, then sets its limits (runc takes some 0.3 s to get there on a busy host), then writes that
the container runs. Until then the state on disk tells how the life before ended: its exit code and its start belong to
another cgroup. A limit that it names will be set in a moment.
"""

from __future__ import annotations

import re
from dataclasses import replace

from cgroupfs import Limit

from .runtimes.base import Metadata, State

UNTOLD_NS = 10_000_000_000
"""How long a new container's limits may take where the engine does not write that it runs."""
_RUN = (State.RUNNING, State.PAUSED)
_PREPARING = re.compile(
    r"(?:runc|youki):\[.*|runc|crun|youki|exe|memfd:(?:runc|crun|youki).*|[0-9]{1,3}|conmon|lxc-start"
)
"""runc and crun begin as ``/proc/self/exe`` and go on from a copy of themselves in memory, which is named by its number
(``fexecve``), since Linux 6.14 by its file."""


def prepares(program: str) -> bool:
    """Whether a process in a container's cgroup is the runtime's own, which becomes the program or fails to (``runc
    init`` calls itself ``runc:[2:INIT]``). ``program``: its name as the kernel has it (``comm``)."""
    return _PREPARING.fullmatch(program) is not None


def behind(metadata: Metadata | None) -> bool:
    """Whether the state is older than the cgroup, which is alive."""
    return metadata is not None and metadata.state not in (*_RUN, State.UNKNOWN)


def living(metadata: Metadata | None) -> Metadata | None:
    """The metadata of a container that has a cgroup, without how an earlier life went."""
    if metadata is None:
        return None
    if behind(metadata):
        return replace(metadata, state=State.RUNNING, started_seconds=None, exit_code=None, oom_killed=None)
    return metadata if metadata.exit_code is None else replace(metadata, exit_code=None)


def promised_limit(metadata: Metadata | None, age_ns: int | None) -> int | None:
    """The limit that the engine is about to set, by its state on disk; None: it has set its limits.

    ``age_ns``: how long the container has been known; None: it was there before the agent.
    """
    if metadata is None:
        return None
    untold = metadata.state is State.UNKNOWN and age_ns is not None and age_ns < UNTOLD_NS
    return metadata.memory_limit_bytes if behind(metadata) or untold else None


def limit_in_force(kernel: Limit, promised: int | None) -> Limit:
    """The kernel's own limit once it has one; until then the promised one."""
    if promised is None or (isinstance(kernel, int) and kernel > 0):
        return kernel
    return promised
