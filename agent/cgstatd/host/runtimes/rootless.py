"""The runtimes of one user, found below the home that ``/etc/passwd`` below the root (the host's) names::

    ann:x:1000:1000::/home/ann:/bin/bash

A home that only a directory service knows is not found: there is no asking it from files.
"""

from __future__ import annotations

from collections.abc import Callable

from cgroupfs import Root

from .base import MetadataSource
from .budget import Budget
from .docker import DockerSource
from .lxc import LxcSource
from .podman import PodmanSource
from .statefile import StateFiles


def _home_of(uid: int) -> Callable[[bytes], str | None]:
    def parse(data: bytes) -> str | None:
        for line in data.splitlines():
            fields = line.split(b":")
            if len(fields) == 7 and fields[2] == str(uid).encode():
                home = fields[5].decode()  # other lines' comments may be in any encoding
                return home.rstrip("/") if home.startswith("/") else None
        return None

    return parse


def rootless_sources(root: Root, uid: int, budget: Budget | None = None) -> tuple[MetadataSource, ...]:
    """The sources of one user's runtimes; none for root, whose runtimes are the system's, or without a home."""
    home = StateFiles(root).read("/etc/passwd", _home_of(uid))
    if uid == 0 or not home or not isinstance(home, str):
        return ()
    data, files = f"{home}/.local/share", StateFiles(root, uid, budget)
    return (
        PodmanSource(root, f"{data}/containers/storage", uid, files),
        DockerSource(root, f"{data}/docker", uid, files),
        LxcSource(root, f"{data}/lxc", uid, files),
    )
