"""CRI-O: ``crio-<id>.scope`` (systemd driver) or ``crio-<id>`` (cgroupfs driver), both below kubepods.

State: ``<storage>/<driver>-containers/<id>/userdata/config.json``, of which the annotations count, and state.json
beside it::

    {"annotations": {"io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerType": "container",
      "io.kubernetes.container.name": "web", "io.kubernetes.pod.name": "shop-0", "io.kubernetes.pod.namespace": "prod",
      "io.kubernetes.cri-o.ImageName": "registry.example/web:1", "io.kubernetes.cri-o.SandboxID": "5b75…",
      "io.kubernetes.cri-o.Labels": "{\\"app\\":\\"web\\"}", "io.kubernetes.cri-o.Created": "2026-11-25T10:57:42.57Z"}}

Podman keeps its containers in the same storage and sets io.container.manager to libpod.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from cgroupfs import Root

from .base import HEX_ID, SKIP, Match, Metadata, Skip, State, Unreadable, is_hex_id
from .kubernetes import kubernetes_labels, kubernetes_name
from .labels import Labels, Wanted, cut
from .packed_labels import packed
from .state_values import parser_of, unix_time
from .statefile import StateFiles
from .storage import STORAGE, ContainersStorage

RUNTIME = "cri-o"
PAYLOAD = "container"
"""Made by crun with the systemd driver, as for Podman."""
_named = re.compile(rf"crio-({HEX_ID})(\.scope)?|[^/]*:crio:({HEX_ID})").fullmatch
_conmon = re.compile(rf"crio-conmon-{HEX_ID}(?:\.scope)?").fullmatch
_STATES = {
    "created": State.CREATED,
    "running": State.RUNNING,
    "paused": State.PAUSED,
    "stopped": State.EXITED,
}


def match(parent: str, name: str) -> Match | Skip | None:
    """Containers and sandboxes alike; skips conmon's cgroups."""
    if _conmon(name):
        return SKIP
    found = _named(name)
    if found is None:
        return None
    return Match(RUNTIME, found[1] or found[3], PAYLOAD if found[2] else "")


class _Annotations(msgspec.Struct, frozen=True):
    manager: str | None = msgspec.field(name="io.container.manager", default=None)
    kind: str | None = msgspec.field(name="io.kubernetes.cri-o.ContainerType", default=None)
    container: str | None = msgspec.field(name="io.kubernetes.container.name", default=None)
    pod: str | None = msgspec.field(name="io.kubernetes.pod.name", default=None)
    namespace: str | None = msgspec.field(name="io.kubernetes.pod.namespace", default=None)
    uid: str | None = msgspec.field(name="io.kubernetes.pod.uid", default=None)
    image: str | None = msgspec.field(name="io.kubernetes.cri-o.ImageName", default=None)
    requested: str | None = msgspec.field(name="io.kubernetes.cri-o.Image", default=None)
    image_ref: str | None = msgspec.field(name="io.kubernetes.cri-o.ImageRef", default=None)
    sandbox: str | None = msgspec.field(name="io.kubernetes.cri-o.SandboxID", default=None)
    labels: str | None = msgspec.field(name="io.kubernetes.cri-o.Labels", default=None)
    created: datetime | None = msgspec.field(name="io.kubernetes.cri-o.Created", default=None)
    host_network: str | None = msgspec.field(name="io.kubernetes.cri-o.HostNetwork", default=None)


class Config(msgspec.Struct, frozen=True):
    """config.json."""

    annotations: _Annotations = _Annotations()


class Now(msgspec.Struct, frozen=True):
    """state.json."""

    status: str | None = None


_decode_config = parser_of(Config)
_decode_now = parser_of(Now)


def _parse_now(data: bytes) -> Now:
    return Now(cut(_decode_now(data).status))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of one config.json."""

    manager: str | None
    sandbox: bool
    container: str | None
    pod: str | None
    namespace: str | None
    uid: str | None
    image: str | None
    image_id: str | None
    labels: Labels
    created_seconds: float | None
    network_mode: str | None


def _parse_config(data: bytes, wanted: Wanted) -> _Known:
    found = _decode_config(data).annotations
    sandbox = found.kind == "sandbox"
    return _Known(
        manager=cut(found.manager),
        sandbox=sandbox,
        container=None if sandbox else cut(found.container),
        pod=cut(found.pod),
        namespace=cut(found.namespace),
        uid=cut(found.uid),
        image=cut(found.image or found.requested) or None,
        image_id=cut(found.image_ref) or None,
        labels=wanted.parse(found.labels.encode()) if found.labels else Labels({}),
        created_seconds=unix_time(found.created),
        network_mode=cut(_network_mode(found, sandbox)),
    )


class CrioSource:
    """CRI-O's containers and pod sandboxes."""

    runtime = RUNTIME

    def __init__(self, root: Root, storage: str = STORAGE, owner_uid: int = 0, files: StateFiles | None = None) -> None:
        self.owner_uid = owner_uid
        self._files = files or StateFiles(root, owner_uid)
        self._storage = ContainersStorage(self._files, storage)
        self.places = self._storage.places

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of a container or sandbox by its whole id; None for one of Podman's."""
        if not is_hex_id(container_id):
            return None
        self._storage.problem = None
        for folder in self._storage.folders():
            userdata = f"{folder}/{container_id}/userdata"
            config = self._files.read(f"{userdata}/config.json", self._parse)
            if isinstance(config, Unreadable):
                return config
            if config is not None:
                return self._metadata(container_id, userdata, config)
        return self._storage.problem

    def all(self) -> Iterator[Metadata]:
        """Every container and sandbox in the storage's lists, stopped ones included."""
        for stored in self._storage.all():
            if stored.kubernetes and isinstance(found := self.get(stored.id), Metadata):
                yield found

    def _parse(self, data: bytes) -> _Known:
        return _parse_config(data, self._files.wanted)

    def _metadata(self, container_id: str, userdata: str, found: _Known) -> Metadata | Unreadable | None:
        if found.manager != "cri-o":
            return None
        if not found.pod or not found.namespace:
            return Unreadable("malformed: no io.kubernetes.pod.name and namespace", f"{userdata}/config.json")
        now = self._files.read(f"{userdata}/state.json", _parse_now)
        return Metadata(
            runtime=RUNTIME,
            id=container_id,
            name=kubernetes_name(found.container, found.pod, found.namespace),
            image=found.image,
            image_id=found.image_id,
            labels=packed(
                dict(found.labels.kept.items())
                | kubernetes_labels(found.container, found.pod, found.namespace, found.uid),
                self._files.wanted.keys,
            ),
            labels_left_out=found.labels.left_out,
            created_seconds=found.created_seconds,
            state=_STATES.get(now.status or "", State.UNKNOWN) if isinstance(now, Now) else State.UNKNOWN,
            network_mode=found.network_mode,
            pod=f"{found.namespace}/{found.pod}",
            infra=found.sandbox,
            owner_uid=self.owner_uid,
        )


def _network_mode(found: _Annotations, sandbox: bool) -> str | None:
    if found.host_network == "true":
        return "host"
    return None if sandbox or not found.sandbox else f"container:{found.sandbox}"
