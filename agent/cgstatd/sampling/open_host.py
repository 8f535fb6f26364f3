"""Puts together what reads one host: hierarchy, discovery, names and the sampler."""

from __future__ import annotations

import logging
import os
import resource
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from cgroupfs import Descriptors, Root, detect, io_counting

from ..basics.errors import BadSetting
from ..host import runtimes
from ..host.discovery import Discovery
from ..host.identity import Names
from ..host.limit_changes import LimitChanges
from ..host.running_engines import EngineNamespaces, LateSources, containerd_states
from ..host.runtimes.base import MetadataSource
from ..host.runtimes.budget import Budget
from ..host.runtimes.containerd import Tasks
from ..host.runtimes.docker import DockerSource, docker_data_root
from ..host.runtimes.podman import PodmanSource
from ..host.runtimes.statefile import StateFiles
from ..host.state_changes import StateWatch
from .model import MEMORY_OFF
from .open_files import Shared
from .registry import Registry
from .sampler import Sampler

log = logging.getLogger(__name__)
_RESERVED_DESCRIPTORS = 256
"""Descriptors left for listeners, files that are open for a moment, and a few connections."""
_WANTED_DESCRIPTORS = 65_536
DEFAULT_STORAGE = "/var/lib/containers/storage"


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host is read."""

    docker_roots: Sequence[str] = ()
    """Data roots of Docker besides the one that daemon.json or a running dockerd names."""
    podman_roots: Sequence[str] = ()
    """Storage roots of Podman besides /var/lib/containers/storage."""
    services: bool = False
    """Whether systemd services count as containers."""
    follow: bool = True
    """Follow changes by inotify rather than walk at every listing."""
    max_connections: int = 0
    """How many connections need a descriptor beside the files that are kept open."""


def descriptor_budget(connections: int = 0) -> Descriptors:
    """How many descriptors may be kept, after raising the soft limit towards the hard one.

    The rest is for connections, even if the limit of the running agent is lowered (prlimit).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted

    def to_spare(soft: int) -> int:
        return max(0, soft - _RESERVED_DESCRIPTORS - connections)

    return Descriptors(to_spare(soft), lambda: to_spare(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


def _check_roots(root: Root, options: HostOptions) -> None:
    """Without this, a data root that was named and is not there would cost the names of its containers without a
    word."""
    for key, paths in (("docker_root", options.docker_roots), ("podman_root", options.podman_roots)):
        for path in paths:
            try:
                found = stat.S_ISDIR(os.stat(root.join(os.path.normpath(f"/{path}"))).st_mode)
            except PermissionError:
                continue  # it may well be there; where names are missing the log says why
            except OSError:
                found = False
            if not found:
                raise BadSetting(key, f"{path}: no such directory" + " below --host-root" * (root.path != "/"))


def open_host(root: Root, options: HostOptions) -> Sampler:
    """A sampler of the host below ``root``. Raises NoCgroups, BadSetting."""
    _check_roots(root, options)
    hierarchy = detect(root)
    if hierarchy.mount("memory") is None:
        log.warning("%s (until then there are no memory figures)", MEMORY_OFF)
    live = root.live
    tasks = Tasks(root, partial(containerd_states, root))
    discovery = Discovery(
        root, hierarchy, partial(runtimes.match, services=options.services, tasks=tasks), follow=options.follow and live
    )
    budget = Budget()
    files = StateFiles(root, 0, budget)
    sources: list[MetadataSource] = [
        *(DockerSource(root, path, files=files) for path in options.docker_roots),
        *(PodmanSource(root, path, files=files) for path in options.podman_roots),
        *runtimes.system_sources(root, budget),
    ]
    roots = [*options.docker_roots, *options.podman_roots, docker_data_root(root), DEFAULT_STORAGE, *tasks.states]
    rootless = partial(runtimes.rootless_sources, root, budget=budget)
    names = Names(sources, rootless, LateSources(root, roots, budget, tasks.states), root, budget.want)
    shared = Shared(LimitChanges(options.follow and live), io_counting(root, hierarchy))
    descriptors = descriptor_budget(options.max_connections)
    states = StateWatch(root, options.follow and live)
    registry = Registry(root, hierarchy, discovery, names, descriptors, shared, states)
    return Sampler(root, hierarchy, registry, names, EngineNamespaces(root), shared)
