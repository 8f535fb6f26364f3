"""The container runtimes: a runtime is one module, and one line in each of these tuples.

``MATCHERS`` in this order, the first hit counts: LXC first, since below ``lxc/`` every name is a container; Docker
last, since it takes every bare id that no other runtime claims (containerd claims those below kubepods). The rest
exclude each other.
"""

from __future__ import annotations

from collections.abc import Callable

from cgroupfs import Root

from . import containerd, crio, docker, lxc, nspawn, podman, systemd
from .base import SKIP, Match, Matcher, Metadata, MetadataSource, Skip, State, Unreadable
from .budget import Budget
from .rootless import rootless_sources
from .statefile import StateFiles

__all__ = [
    "MATCHERS",
    "NAMED",
    "OPTIONAL",
    "SKIP",
    "SOURCES",
    "Budget",
    "Match",
    "Metadata",
    "MetadataSource",
    "Skip",
    "State",
    "Unreadable",
    "match",
    "rootless_sources",
    "system_sources",
]

MATCHERS: tuple[Matcher, ...] = (
    lxc.match,
    podman.match,
    crio.match,
    nspawn.match,
    containerd.match,
    docker.match,
)
OPTIONAL: tuple[Matcher, ...] = (systemd.match,)
"""Off by default: services are no containers."""

SOURCES: tuple[Callable[[Root, StateFiles], MetadataSource], ...] = (
    lambda root, files: docker.DockerSource(root, docker.docker_data_root(root), files=files),
    lambda root, files: podman.PodmanSource(root, files=files),
    lambda root, files: crio.CrioSource(root, files=files),
    lambda root, files: containerd.ContainerdSource(root, files=files),
    lambda root, files: containerd.ContainerdSource(root, containerd.K3S_STATE, files=files),
    lambda root, files: lxc.LxcSource(root, files=files),
    lambda root, files: nspawn.NspawnSource(root, files=files),
)

NAMED = frozenset({lxc.RUNTIME, nspawn.RUNTIME, systemd.RUNTIME})
"""Whose ids are names: a container of the same name in another runtime is another container."""


def match(parent: str, name: str, services: bool = False, tasks: containerd.Tasks | None = None) -> Match | Skip | None:
    """What the cgroup directory ``name`` below ``parent`` (a path below the controller's mount) is; None: of no
    runtime. ``tasks``: what containerd's state has."""
    for each in MATCHERS + OPTIONAL if services else MATCHERS:
        found = each(parent, name)
        if found is not None:
            return found
    return None if tasks is None else tasks.match(parent, name)


def system_sources(root: Root, budget: Budget | None = None) -> tuple[MetadataSource, ...]:
    """The sources of the system's own runtimes, whether they are installed or not."""
    files = StateFiles(root, 0, budget)
    return tuple(each(root, files) for each in SOURCES)
