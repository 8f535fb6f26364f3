"""What several test files need: the recorded hosts, and what is expected of them."""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
from typing import Any

from cgroupfs import Absent, Cgroup, Directory, Hierarchy, Root, detect
from cgroupfs.pseudofs import absence

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIXTURES = f"{PROJECT}/fixtures"
HOSTS = ("debian13-v2-systemd", "debian12kernel-v1-systemd", "debian12kernel-v1-cgroupfs")
UNIFIED, LEGACY, LEGACY_CGROUPFS = HOSTS
READINGS = ("t0", "t1")
TREES = tuple((host, reading) for host in HOSTS for reading in READINGS)


def tree(host: str, reading: str = "t0") -> str:
    """The directory of one reading of a recorded host."""
    return f"{FIXTURES}/{host}/{reading}"


@functools.cache
def expected(host: str) -> dict[str, Any]:
    """What the engines said of a recorded host (see tests/tools/import_capture.py)."""
    with open(f"{FIXTURES}/{host}/expected.json", encoding="utf-8") as file:
        return json.load(file)


def container(host: str, name: str) -> dict[str, Any]:
    """One container of expected.json."""
    return next(entry for entry in expected(host)["containers"] if entry["name"] == name)


@functools.cache
def recorded(host: str, reading: str = "t0") -> tuple[Root, Hierarchy]:
    """A recorded host as the library sees it."""
    root = Root(tree(host, reading))
    return root, detect(root)


def cgroup(host: str, name: str, reading: str = "t0") -> Cgroup:
    """A recorded container's cgroup."""
    return Cgroup(*recorded(host, reading), container(host, name)["cgroup"])


def cgroups(host: str, reading: str = "t0") -> list[tuple[str, Cgroup]]:
    """(name, cgroup) of every container that is there in the reading."""
    names = [entry["name"] for entry in expected(host)["containers"] if entry["cgroup"]]
    found = [(name, cgroup(host, name, reading)) for name in names]
    return [(name, group) for name, group in found if group.exists()]


class FakeDirectory(Directory):
    """A directory whose files are given: content, or the errno that opening or reading gives. The only double here.

    ENODEV and EOPNOTSUPP are the kernel's answers and cannot come from a tree of plain files.
    """

    __slots__ = ("files",)

    def __init__(self, files: dict[str, bytes | int], path: str = "/sys/fs/cgroup/fake") -> None:
        self.path, self.fd, self.inode, self.files = path, -1, 1, files

    def read(self, name: str) -> bytes | Absent:
        """As Directory.read, with its own classification."""
        found = self.files.get(name, errno.ENOENT)
        return absence(OSError(found, os.strerror(found)), f"{self.path}/{name}") if isinstance(found, int) else found


def write_files(top: str, files: dict[str, bytes | str]) -> str:
    """Make the files (with their directories) below ``top``; returns ``top``."""
    for name, data in files.items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
    return top


def unexplained(record: Any) -> list[str]:
    """Fields of a record, and of the records in it, that are None without a reason in ``missing``."""
    known = reasons(record)
    found = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        inner = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
        found += [name.name for name in inner if getattr(value, name.name) is None and name.name not in known]
        if value is None and field.name not in known:
            found.append(field.name)
    return found


def reasons(record: Any) -> dict[str, Absent]:
    """Field -> why it is missing."""
    return {missing.field: missing.reason for missing in record.missing}
