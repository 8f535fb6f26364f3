"""Who a container is, as JSON: the elements of GET /api/containers and the ``start`` event."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from ..basics.text import printable
from ..host.identity import Identity
from ..host.runtimes.base import Metadata, State
from ..host.runtimes.labels import MOST_LABELS, MOST_VALUE, PROJECTS
from ..host.workload import workload


class ContainerIdentity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A container, running or not. null: its runtime does not say, or the kernel does not."""

    id: str
    name: str
    workload: str | None
    """What stays the same when it is made anew: ``compose:shop/web/1``, ``pod:…``, ``unit:…``, ``docker:web``."""
    runtime: str
    state: str
    image: str | None
    image_id: str | None
    labels: dict[str, str]
    labels_left_out: bool | UnsetType = UNSET
    """true: it has more labels, or longer ones, than are kept."""
    project: str | None
    """Its Compose project or Kubernetes namespace."""
    pod: str | None
    infra: bool
    """A pod's own container that only holds its namespaces."""
    owner_uid: int
    """0: the system's; else the user that it belongs to."""
    network_mode: str | None
    created: int | None
    """Milliseconds since the epoch."""
    started: int | None
    finished: int | None
    """The last end, where there was one."""
    restarts: int | None
    exit_code: int | None
    oom_killed: bool | None
    """Whether the runtime saw the kernel kill it for want of memory, in this life or at the end of the last one."""
    pids: int | None
    """Processes and threads."""


def milliseconds(seconds: float | None) -> int | None:
    """Seconds since the epoch in milliseconds."""
    return None if seconds is None else int(seconds * 1000)


def labels_of(metadata: Metadata | None) -> dict[str, str]:
    """Labels as they may be shown anywhere: bounded, printable."""
    found = metadata.labels if metadata else {}
    pairs = list(found.items())[:MOST_LABELS]
    return {printable(key): printable(value, MOST_VALUE) for key, value in pairs}


def project_of(metadata: Metadata | None) -> str | None:
    """The Compose project or Kubernetes namespace."""
    labels = metadata.labels if metadata else {}
    found = next((labels[key] for key in PROJECTS if labels.get(key)), None)
    return None if found is None else printable(found)


def container_identity(identity: Identity, state: State, pids: int | None) -> ContainerIdentity:
    """The identity of one container."""
    found = identity.metadata
    return ContainerIdentity(
        id=identity.id,
        name=identity.name,
        workload=workload(identity),
        runtime=identity.runtime,
        state=state.value,
        image=printable(found.image) if found and found.image else None,
        image_id=printable(found.image_id) if found and found.image_id else None,
        labels=labels_of(found),
        labels_left_out=True if found and found.labels_left_out else UNSET,
        project=project_of(found),
        pod=printable(found.pod) if found and found.pod else None,
        infra=bool(found and found.infra),
        owner_uid=identity.owner_uid,
        network_mode=printable(found.network_mode) if found and found.network_mode else None,
        created=milliseconds(found.created_seconds) if found else None,
        started=milliseconds(found.started_seconds) if found else None,
        finished=milliseconds(found.finished_seconds) if found else None,
        restarts=found.restarts if found else None,
        exit_code=found.exit_code if found else None,
        oom_killed=found.oom_killed if found else None,
        pids=pids,
    )
