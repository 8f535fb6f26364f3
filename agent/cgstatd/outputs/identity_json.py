"""Who a container is, as JSON: the elements of GET /api/containers and the ``start`` event."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from ..host.identity import Identity
from ..host.runtimes.base import Health, Metadata, State
from ..host.runtimes.labels import PROJECTS
from ..host.workload import workload
from ..sampling.lived import NOTHING, Lived, Terminated, last_end
from .shown_labels import shown_labels
from .unknown import shown


class LastTerminated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a container ended."""

    id: str
    """While it runs, that of the container before it in its workload may be another."""
    exit_code: int | None
    exit_code_absent: str | None
    """Why the exit code is not known."""
    signal: int | None
    """What ended its first process, by the kernel's word; null: it exited by itself, or that is not known."""
    signal_absent: str | None
    """Why it is not known, where the exit code is."""
    oom_killed: bool | None
    reason: str | None
    """``Completed``, ``Error`` or ``OOMKilled``, as in Kubernetes."""
    started: int | None
    finished: int | None


class ContainerHealth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a container's health check goes."""

    status: str | None
    """``starting``, ``healthy`` or ``unhealthy``."""
    absent: str | None
    """Why that is not known."""
    failing_streak: int | None
    """How many probes have failed in a row."""
    checked: int | None
    """When the latest probe ended, in milliseconds since the epoch; null: there was none yet, or it is not known."""


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
    labels: Mapping[str, str]
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
    uptime: int | None
    """Seconds since its start; null: it does not run."""
    restarts: int | None
    """How often its workload came back: as its engine counts, else after failures that the agent saw."""
    flapping: bool | None
    """Whether its workload came back at least 3 times within the last 15 minutes; null: it is not watched."""
    last_terminated: LastTerminated | None
    """Its last end; while it runs, that of its workload. null: none is known."""
    health: ContainerHealth | None
    """null: it does not run, or it has no health check, as far as its runtime's files say."""
    exit_code: int | None
    oom_killed: bool | None
    """Whether the runtime saw the kernel kill it for want of memory, in this life or at the end of the last one."""
    pids: int | None
    """Processes and threads."""


def milliseconds(seconds: float | None) -> int | None:
    """Seconds since the epoch in milliseconds."""
    return None if seconds is None else int(seconds * 1000)


def project_of(metadata: Metadata | None) -> str | None:
    """The Compose project or Kubernetes namespace."""
    labels = metadata.labels if metadata else {}
    return shown(next((labels[key] for key in PROJECTS if labels.get(key)), None))


def last_terminated(found: Terminated | None) -> LastTerminated | None:
    """How a container ended, as it is shown."""
    if found is None:
        return None
    return LastTerminated(
        id=found.id,
        exit_code=found.exit_code,
        exit_code_absent=found.absent,
        signal=found.signal,
        signal_absent=found.signal_absent,
        oom_killed=found.oom_killed,
        reason=found.reason,
        started=milliseconds(found.started_seconds),
        finished=milliseconds(found.finished_seconds),
    )


def _health(found: Health | None) -> ContainerHealth | None:
    if found is None:
        return None
    return ContainerHealth(
        status=found.status,
        absent=shown(found.absent),
        failing_streak=found.failing_streak,
        checked=milliseconds(found.checked_seconds),
    )


def container_identity(
    identity: Identity,
    state: State,
    pids: int | None,
    lived: Lived = NOTHING,
    *,
    running: bool = True,
    uptime_seconds: float | None = None,
    health: Health | None = None,
) -> ContainerIdentity:
    """The identity of one container; ``running``: it has a cgroup."""
    found = identity.metadata
    restarts = found.restarts if found and lived.restarts is None else lived.restarts
    return ContainerIdentity(
        id=identity.id,
        name=identity.name,
        workload=workload(identity),
        runtime=identity.runtime,
        state=state.value,
        image=shown(found.image) if found else None,
        image_id=shown(found.image_id) if found else None,
        labels=shown_labels(found),
        labels_left_out=True if found and found.labels_left_out else UNSET,
        project=project_of(found),
        pod=shown(found.pod) if found else None,
        infra=bool(found and found.infra),
        owner_uid=identity.owner_uid,
        network_mode=shown(found.network_mode) if found else None,
        created=milliseconds(found.created_seconds) if found else None,
        started=milliseconds(found.started_seconds) if found else None,
        finished=milliseconds(found.finished_seconds) if found else None,
        uptime=None if uptime_seconds is None else max(0, int(uptime_seconds)),
        restarts=restarts,
        flapping=lived.flapping,
        last_terminated=last_terminated(last_end(found, identity.id, lived, running=running)),
        health=_health(health),
        exit_code=found.exit_code if found else None,
        oom_killed=found.oom_killed if found else None,
        pids=pids,
    )
