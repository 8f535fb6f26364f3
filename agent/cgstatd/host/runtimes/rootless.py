"""The runtimes of one user, found below the home that ``/etc/passwd`` below the root (the host's) names::

    ann:x:1000:1000::/home/ann:/bin/bash

A home that only a directory service knows is not found: there is no asking it from files.
"""

from __future__ import annotations

from cgroupfs import Root

from .base import MetadataSource
from .budget import Budget
from .docker import DockerSource
from .lxc import LxcSource
from .podman import PodmanSource
from .statefile import StateFiles

_UID_DIGITS = 10


def _homes(data: bytes) -> dict[int, bytes]:
    """uid -> home, of the first line of a uid. All at once: a host may have thousands of users, each of whom is asked
    for. Bytes: other lines may be in any encoding."""
    found: dict[int, bytes] = {}
    for line in data.splitlines():
        fields = line.split(b":")
        if len(fields) == 7 and fields[2].isdigit() and len(fields[2]) <= _UID_DIGITS:
            found.setdefault(int(fields[2]), fields[5])
    return found


def _path(home: bytes) -> str:
    """Empty where it is no path."""
    try:
        return home.decode().rstrip("/") if home.startswith(b"/") else ""
    except UnicodeDecodeError:
        return ""


def rootless_sources(root: Root, uid: int, budget: Budget | None = None) -> tuple[MetadataSource, ...]:
    """The sources of one user's runtimes; none for root, whose runtimes are the system's, or without a home."""
    homes = StateFiles(root, 0, budget).read("/etc/passwd", _homes)
    if uid == 0 or not isinstance(homes, dict):
        return ()
    home = _path(homes.get(uid, b""))
    if not home:
        return ()
    data, files = f"{home}/.local/share", StateFiles(root, uid, budget)
    return (
        PodmanSource(root, f"{data}/containers/storage", uid, files),
        DockerSource(root, f"{data}/docker", uid, files),
        LxcSource(root, f"{data}/lxc", uid, files),
    )
