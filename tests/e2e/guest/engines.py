"""The rows of the matrix. A new engine is one module and one line here."""

from __future__ import annotations

from bundles import Crun, Ctr, Oci
from docker import Docker
from engine import Engine
from machines import Lxc, Nspawn, Service
from podman import Pod, Podman, Rootless

ENGINES: tuple[Engine, ...] = (
    Docker("systemd"),
    Docker("cgroupfs"),
    Podman(),
    Pod(),
    Rootless(),
    Ctr(),
    Oci("runc"),
    Crun("crun"),
    Lxc(),
    Nspawn(),
    Service(),
)
SHORT: tuple[Engine, ...] = ENGINES[:1]
