"""Cgroups to measure: N of them, each with a process of its own in a network namespace of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from cgroupfs import Hierarchy, Mount, Root, Version, detect

CLONE_NEWNET = 0x40000000
PARENT = "cgstatd-bench"
FILES = {
    Version.V1: (
        ("cpuacct", "cpuacct.usage"),
        ("memory", "memory.usage_in_bytes"),
        ("memory", "memory.stat"),
        ("memory", "memory.limit_in_bytes"),
        ("io", "blkio.throttle.io_service_bytes"),
    ),
    Version.V2: (
        ("cpuacct", "cpu.stat"),
        ("memory", "memory.current"),
        ("memory", "memory.stat"),
        ("memory", "memory.max"),
        ("io", "io.stat"),
    ),
}


@dataclass(frozen=True)
class Bench:
    """The cgroups of one run: ids, and a file that lists for the floor program what to read."""

    ids: list[str]
    listing: str
    pids: list[int]


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _prepare(mount: Mount) -> str:
    """The parent directory in one hierarchy, with its controllers enabled for the children."""
    parent = f"{mount.point}/{PARENT}"
    os.makedirs(parent, exist_ok=True)
    if mount.version is Version.V2:
        for directory in (mount.point, parent):
            for name in ("cpu", "memory", "io", "pids"):
                with contextlib.suppress(OSError):
                    _write(f"{directory}/cgroup.subtree_control", f"+{name}")
    if "cpuset" in mount.controllers and mount.version is Version.V1:
        for name in ("cpuset.cpus", "cpuset.mems"):
            with open(f"{mount.point}/{name}") as file:
                _write(f"{parent}/{name}", file.read())
    return parent


def _spawn(directories: list[str], command: list[str]) -> int:
    """A process in the cgroups and in a new network namespace."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for directory in directories:
            _write(f"{directory}/cgroup.procs", "0")
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            os._exit(71)
        os.execv(command[0], command)
    finally:
        os._exit(70)


def _files(hierarchy: Hierarchy, container_id: str, pid: int) -> str:
    mounts = dict(hierarchy.bound)
    paths = [
        f"{mounts[controller].point}/{PARENT}/{container_id}/{name}"
        for controller, name in FILES[mounts["memory"].version]
    ]
    return " ".join([*paths, f"/proc/{pid}/net/dev"])


@contextlib.contextmanager
def cgroups(count: int, work: str, directory: str) -> Iterator[Bench]:
    """Make the cgroups, and remove them with all that runs in them."""
    hierarchy = detect(Root("/"))
    parents = [_prepare(mount) for mount in hierarchy.trees if mount.controllers or mount.version is Version.V1]
    ids = [f"{0xBE << 240 | n:064x}" for n in range(count)]
    pids: list[int] = []
    lines: list[str] = []
    try:
        for each in ids:
            directories = [f"{parent}/{each}" for parent in parents]
            for made in directories:
                os.makedirs(made, exist_ok=True)
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if os.path.exists(f"{made}/{name}") and hierarchy.mode != "unified":
                        with open(f"{os.path.dirname(made)}/{name}") as file:
                            _write(f"{made}/{name}", file.read())
            pids.append(_spawn(directories, [f"{directory}/worker", work, directory]))
            lines.append(_files(hierarchy, each, pids[-1]))
        listing = f"{directory}/list"
        _write(listing, "\n".join(lines) + "\n")
        time.sleep(0.5)
        yield Bench(ids, listing, pids)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        _remove(parents, ids)


def _remove(parents: list[str], ids: list[str]) -> None:
    for _ in range(50):
        left = 0
        for parent in parents:
            for directory in [*(f"{parent}/{each}" for each in ids), parent]:
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    continue
                except OSError:
                    left += 1
        if not left:
            return
        time.sleep(0.1)


def compile_programs(source: str, directory: str) -> None:
    """Build floor and worker. Raises FileNotFoundError where there is no C compiler."""
    for name in ("floor", "worker"):
        subprocess.run(["cc", "-O2", "-o", f"{directory}/{name}", f"{source}/{name}.c"], check=True)
