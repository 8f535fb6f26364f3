"""What stays the same when a container is made anew: its workload.

Ids change with each ``docker compose up --force-recreate``; what the container is there for does not. The first that
its labels or its runtime tell:

* ``compose:<project>/<service>/<number>``, ``compose:<project>/<service>`` where the number is not known;
* ``pod:<namespace>/<pod>/<container>`` in Kubernetes, ``pod:<pod>/<name>`` in Podman;
* ``unit:<unit>`` of a service, and of a container that one runs (Quadlet, ``podman generate systemd``);
* ``<runtime>:<name>``.

A user's is followed by ``@<uid>``: its labels are that user's word, and never make it one of the system's. Parts are
percent-encoded, so that no label makes two workloads one.
"""

from __future__ import annotations

from urllib.parse import quote

from .identity import Identity
from .runtimes.base import Metadata, is_hex_id
from .runtimes.kubernetes import CONTAINER_NAME, POD_NAME, POD_NAMESPACE
from .runtimes.labels import COMPOSE_NUMBER, COMPOSE_PROJECTS, COMPOSE_SERVICE, UNIT
from .runtimes.systemd import RUNTIME as SYSTEMD

_MOST = 128
"""Characters of one part."""


def container_key(identity: Identity) -> str:
    """Of one container: ids of different owners and runtimes may be equal."""
    return f"{identity.runtime}:{identity.id}@{identity.owner_uid}"


def key_of(identity: Identity) -> str:
    """Of its workload; of itself, where nothing but its id is known."""
    return workload(identity) or container_key(identity)


def workload(identity: Identity) -> str | None:
    """None: nothing but its id is known."""
    kind, parts = _parts(identity)
    if not parts:
        return None
    shown = "/".join(quote(part[:_MOST], safe="", errors="replace") for part in parts)
    return f"{kind}:{shown}@{identity.owner_uid}" if identity.owner_uid else f"{kind}:{shown}"


def _parts(identity: Identity) -> tuple[str, list[str]]:
    found = identity.metadata
    if identity.runtime == SYSTEMD:
        return "unit", [identity.id]
    if found is None:
        return identity.runtime, [] if is_hex_id(identity.id) else [identity.name]
    return _by_labels(found) or (identity.runtime, [identity.name])


def _by_labels(found: Metadata) -> tuple[str, list[str]] | None:
    labels = found.labels
    project = next((labels[key] for key in COMPOSE_PROJECTS if labels.get(key)), None)
    service = labels.get(COMPOSE_SERVICE)
    if project and service:
        number = labels.get(COMPOSE_NUMBER)
        return "compose", [project, service, number] if number else [project, service]
    if labels.get(POD_NAMESPACE) and labels.get(POD_NAME):
        container = labels.get(CONTAINER_NAME)
        return "pod", [labels[POD_NAMESPACE], labels[POD_NAME], *([container] if container else [])]
    if labels.get(UNIT):
        return "unit", [labels[UNIT]]
    if found.pod and found.name:
        return "pod", [found.pod, found.name]
    return None
