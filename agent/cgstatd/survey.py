"""Every container's exported figures for /metrics, read in the sampling thread a few at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cgroupfs import CgroupGone, Exported

from .container import Watched
from .devices import Device, Devices
from .interfaces import read_interfaces
from .network import Namespaces
from .processes import started_seconds
from .procfs.net_dev import Interface
from .sample import ContainerStats, Identity
from .sampler import Sampler

AT_ONCE = 25
"""Containers in one item of the sampling thread: some 10 ms, so that nobody else waits long for it."""


class Surveyed(NamedTuple):
    """One container."""

    identity: Identity
    path: str
    """Its cgroup below the mounts."""
    exported: Exported
    devices: Mapping[str, Device]
    interfaces: Sequence[Interface]
    """Of its own network namespace; empty where it shares another container's, who has them."""
    processes: int | None
    started_seconds: float | None
    seen_ms: int


class Surveyor:
    """Remembers when containers were started."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._devices = Devices(sampler.root)
        self._started: dict[Watched, float | None] = {}

    def containers(self, stats: Mapping[str, ContainerStats]) -> list[tuple[Watched, bool]]:
        """The containers of a pass, and whether the network figures are to be shown with it. Raises ListingFailed."""
        listed = [each for each in self._sampler.containers() if each.identity.id in stats]
        self._started = {each: self._started[each] for each in listed if each in self._started}
        owners = network_owners(stats)
        return [(each, each.identity.id in owners) for each in listed]

    def read(self, several: Sequence[tuple[Watched, bool]], namespaces: Namespaces) -> list[Surveyed]:
        """Their figures; those that are gone are left out."""
        found = []
        for watched, owner in several:
            try:
                found.append(self._one(watched, owner, namespaces))
            except (CgroupGone, OSError):
                continue
        return found

    def _one(self, watched: Watched, owner: bool, namespaces: Namespaces) -> Surveyed:
        root, cgroup = self._sampler.root, watched.cgroup
        exported = cgroup.export()
        interfaces = read_interfaces(root, cgroup, namespaces).interfaces if owner else None
        return Surveyed(
            identity=watched.identity,
            path=watched.ref.path,
            exported=exported,
            devices={each.device: self._devices.get(each.device) for each in exported.devices or ()},
            interfaces=interfaces or (),
            processes=cgroup.count_processes(),
            started_seconds=self._started_seconds(watched),
            seen_ms=root.clock(watched.ref.path).time_ms,
        )

    def _started_seconds(self, watched: Watched) -> float | None:
        metadata = watched.identity.metadata
        if metadata is not None and metadata.started_seconds is not None:
            return metadata.started_seconds
        found = self._started.get(watched)
        if found is None:
            found = self._started[watched] = started_seconds(self._sampler.root, watched.cgroup)
        return found


def network_owners(stats: Mapping[str, ContainerStats]) -> set[str]:
    """Of the containers that share a network namespace, the one it belongs to: a pod's own, else the one that does not
    say ``container:<other>``, else the oldest."""
    chosen: dict[int, tuple[tuple[bool, bool, float, str], str]] = {}
    for each in stats.values():
        if each.network_namespace is None or each.network_rx_bytes is None:
            continue
        found = each.identity.metadata
        rank = (
            not (found and found.infra),
            bool(found and (found.network_mode or "").startswith("container:")),
            (found.created_seconds if found else None) or 0.0,
            each.identity.id,
        )
        before = chosen.get(each.network_namespace)
        if before is None or rank < before[0]:
            chosen[each.network_namespace] = rank, each.identity.id
    return {container_id for _, container_id in chosen.values()}
