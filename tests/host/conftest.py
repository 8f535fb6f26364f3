"""Cgroups of our own in every tree of the running kernel that may be written to; mounts are never touched."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cgroupfs import Hierarchy, Mount, NoCgroups, Root, Version, detect
from helpers import remove_cgroup

Trees = dict[str, Mount]
"""A cgroup's directories, each with the tree that it is in."""


@pytest.fixture(scope="session")
def hierarchy() -> Hierarchy:
    """Of the running kernel."""
    try:
        return detect(Root("/"))
    except NoCgroups as error:
        pytest.skip(str(error))


def make(mount: Mount, name: str) -> str:
    """Make the cgroup in one tree. Raises OSError. A v1 cpuset takes processes only once it has CPUs and memory."""
    path = f"{mount.point}/{name}"
    os.mkdir(path)
    try:
        for file in ("cpuset.cpus", "cpuset.mems"):
            if "cpuset" in mount.controllers and mount.version is Version.V1:
                Path(f"{path}/{file}").write_text(Path(f"{mount.point}/{file}").read_text())
    except OSError:
        os.rmdir(path)
        raise
    return path


@contextmanager
def own_cgroup(hierarchy: Hierarchy, name: str, needs: str = "") -> Iterator[Trees]:
    """The trees by the cgroup's directories in them; its processes are killed at the end.

    Skips the test, saying why, where there is none, or none with the controller that it needs.
    """
    made: Trees = {}
    refused = []
    try:
        for mount in hierarchy.trees:
            try:
                made[make(mount, name)] = mount
            except OSError as error:
                refused.append(f"{mount.point}: {error.strerror}")
        if not made or (needs and hierarchy.mount(needs) not in made.values()):
            pytest.skip(f"no cgroup {needs and f'with {needs} '}may be made: {'; '.join(refused)}")
        yield made
    finally:
        for path in made:
            end_all(path)
            remove_cgroup(path)


def enter(directories: Trees, pid: int) -> None:
    """Put a process into the cgroup, in every tree."""
    for path in directories:
        Path(f"{path}/cgroup.procs").write_text(str(pid))


def end_all(path: str) -> None:
    """Kill what is in a cgroup."""
    with contextlib.suppress(FileNotFoundError):
        for pid in Path(f"{path}/cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
