"""Bare containers: a cgroup with Docker's kind of name and one sleeping process, in every hierarchy of the host.

To the agent they are containers; they start and die a hundred times as fast as an engine's.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from engine import hex_id
from figures import CGROUPS, IS_V2

PARENT = "docker"


def hierarchies() -> list[Path]:
    """The roots in which an engine would make a container's cgroup."""
    if IS_V2:
        return [CGROUPS]
    names = ("cpu,cpuacct", "memory", "blkio", "pids", "freezer", "systemd", "unified")
    return [CGROUPS / name for name in names if (CGROUPS / name / "cgroup.procs").exists()]


class Bare:
    """One such container, running."""

    def __init__(self, name: str) -> None:
        self.id = hex_id(name)
        self._directories = [root / PARENT / self.id for root in hierarchies()]
        self._pid = os.posix_spawn("/bin/busybox", ["busybox", "sleep", "1000000"], {})
        for directory in self._directories:
            directory.mkdir(parents=True)
            (directory / "cgroup.procs").write_text(str(self._pid))

    def kill(self) -> None:
        """End it, and remove its cgroups."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for directory in self._directories:
            directory.rmdir()


def remove_parents() -> None:
    """Leave nothing behind."""
    for root in hierarchies():
        if (root / PARENT).is_dir() and not any(path.is_dir() for path in (root / PARENT).iterdir()):
            (root / PARENT).rmdir()
