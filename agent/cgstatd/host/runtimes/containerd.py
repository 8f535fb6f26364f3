"""containerd: the kubelet's CRI plugin, nerdctl and ctr.

``cri-containerd-<id>.scope``, ``nerdctl-<id>.scope`` (systemd driver), ``kubepods/burstable/pod<uid>/<id>`` and
``/<containerd namespace>/<id>`` (cgroupfs driver), where ``ctr run`` lets its user choose any word for an id. The
namespace moby is Docker's. A word is one container's in the namespace ``default`` and another's in ``prod``, which is
``web@prod`` here. No path says that a directory is a namespace: there has to be a task of it.

State: ``<state>/io.containerd.runtime.v2.task/<namespace>/<id>/config.json``, the OCI bundle of each task that is not
yet deleted, with ``<state>`` /run/containerd (k3s: /run/k3s/containerd), and runc's ``init.pid`` beside it. The
annotations count; whether the task is paused or has ended, and how, is in no file: its shim keeps that in memory::

    {"annotations": {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "web",
      "io.kubernetes.cri.sandbox-name": "shop-0", "io.kubernetes.cri.sandbox-namespace": "prod",
      "io.kubernetes.cri.sandbox-id": "5b75…", "io.kubernetes.cri.image-name": "registry.example/web:1"}}
    {"annotations": {"nerdctl/name": "web", "nerdctl/namespace": "default", "nerdctl/networks": "[\\"bridge\\"]"}}
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from cgroupfs import Root

from ...basics.text import is_number
from . import oci
from .base import HEX_ID, Configured, Match, Metadata, Skip, Unreadable, is_hex_id
from .kubernetes import kubernetes_labels, kubernetes_name
from .labels import cut
from .nerdctl import DATA_ROOT, NameStore
from .oci import Linux
from .packed_labels import MOST_VALUE
from .state_values import is_file_name, parser_of
from .statefile import StateFiles

RUNTIME = "containerd"
STATE, K3S_STATE = "/run/containerd", "/run/k3s/containerd"
STATES = (STATE, K3S_STATE)
_AT = "@"
"""No id has it in it."""
_TASKS = "io.containerd.runtime.v2.task"
_DOCKERS = frozenset({"moby", "plugins.moby"})
_NAMESPACES = frozenset({"default", "k8s.io", "buildkit"})
"""The usual ones; a directory of another name with a bare id in it counts as a --cgroup-parent of Docker's."""
_DEFAULT = "default"
"""The namespace of ``ctr`` where it is told no other."""
_PID_BYTES = 64
_AGAIN_SECONDS = 10.0
is_word = re.compile(r"(?=.{1,76}$)[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*").fullmatch
"""What containerd takes for an id (pkg/identifiers)."""
_KINDS = "cri-containerd|nerdctl"
_named = re.compile(rf"(?:{_KINDS})-({HEX_ID})\.scope|[^/]*:(?:{_KINDS}):({HEX_ID})").fullmatch
_in_pod = re.compile(r"(?:[^/]*-)?kubepods(?:[-.].*)?").fullmatch


def match(parent: str, name: str) -> Match | Skip | None:
    """Named scopes anywhere; a bare id below kubepods or directly in a containerd namespace's directory, a word too in
    that of ``ctr``."""
    if found := _named(name):
        return Match(RUNTIME, found[1] or found[2])
    above = parent.strip("/").split("/")
    if not is_hex_id(name):
        return Match(RUNTIME, name) if above == [_DEFAULT] and is_word(name) else None
    if any(_in_pod(part) for part in above) or (len(above) == 1 and above[0] in _NAMESPACES):
        return Match(RUNTIME, name)
    return None


class Tasks:
    """Which words in which directories are ids: containerd's state has a task of that namespace and id."""

    def __init__(
        self,
        root: Root,
        look: Callable[[], Iterable[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``look``: the state directories that running shims name; asked where a word is not known."""
        self._root, self._look, self._clock = root, look, clock
        self._looked = float("-inf")
        self.states = list(STATES)

    def match(self, parent: str, name: str) -> Match | None:
        """A directory below one of the hierarchy's top that no runtime's naming matches."""
        namespace = parent.strip("/")
        if not is_word(name) or not is_word(namespace) or namespace in _DOCKERS or namespace.endswith(".slice"):
            return None
        task = f"{_TASKS}/{namespace}/{name}"
        if self._has(task, self.states) or self._has(task, self._new()):
            return Match(RUNTIME, f"{name}{_AT}{namespace}")
        return None

    def _has(self, task: str, states: Iterable[str]) -> bool:
        return any(self._is_roots(f"{state}/{task}") for state in states)

    def _new(self) -> list[str]:
        now = self._clock()
        if now - self._looked < _AGAIN_SECONDS:
            return []
        self._looked = now
        found = [each for each in dict.fromkeys(self._look()) if each not in self.states]
        self.states += found
        return found

    def _is_roots(self, path: str) -> bool:
        try:
            return self._root.identity(path).uid == 0
        except OSError:
            return False


class _Annotations(msgspec.Struct, frozen=True):
    kind: str | None = msgspec.field(name="io.kubernetes.cri.container-type", default=None)
    container: str | None = msgspec.field(name="io.kubernetes.cri.container-name", default=None)
    pod: str | None = msgspec.field(name="io.kubernetes.cri.sandbox-name", default=None)
    namespace: str | None = msgspec.field(name="io.kubernetes.cri.sandbox-namespace", default=None)
    uid: str | None = msgspec.field(name="io.kubernetes.cri.sandbox-uid", default=None)
    sandbox: str | None = msgspec.field(name="io.kubernetes.cri.sandbox-id", default=None)
    image: str | None = msgspec.field(name="io.kubernetes.cri.image-name", default=None)
    sandbox_image: str | None = msgspec.field(name="io.kubernetes.cri.podsandbox.image-name", default=None)
    nerdctl_name: str | None = msgspec.field(name="nerdctl/name", default=None)
    nerdctl_networks: str | None = msgspec.field(name="nerdctl/networks", default=None)
    project: str | None = msgspec.field(name="com.docker.compose.project", default=None)
    service: str | None = msgspec.field(name="com.docker.compose.service", default=None)


class Bundle(msgspec.Struct, frozen=True):
    """config.json."""

    annotations: _Annotations | None = None
    linux: Linux | None = None
    process: oci.Process | None = None
    hostname: str | None = None


_decode = parser_of(Bundle)
_parse_networks = parser_of(list[str])


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of one config.json."""

    name: str | None
    """Of a pod's container."""
    labels: dict[str, str]
    pod: str | None
    image: str | None
    nerdctl_name: str | None
    network_mode: str | None
    memory_limit_bytes: int | None
    sandbox: bool
    configured: Configured


def _parse(data: bytes) -> _Known:
    config = _decode(data)
    found, linux = config.annotations or _Annotations(), config.linux or Linux()
    sandbox = found.kind == "sandbox"
    container = None if sandbox else cut(found.container)
    name, labels, in_pod, pod, namespace = None, _compose_labels(found), None, cut(found.pod), cut(found.namespace)
    if pod and namespace:
        name = kubernetes_name(container, pod, namespace)
        labels = kubernetes_labels(container, pod, namespace, cut(found.uid))
        in_pod = f"{namespace}/{pod}"
    return _Known(
        name=name,
        labels=labels,
        pod=in_pod,
        image=cut(found.sandbox_image if sandbox else found.image) or None,
        nerdctl_name=cut(found.nerdctl_name) or None,
        network_mode=cut(_network_mode(found, linux, sandbox)),
        memory_limit_bytes=oci.memory_limit_bytes(linux),
        sandbox=sandbox,
        configured=oci.configured(linux, config.process, config.hostname),
    )


def _parse_pid(data: bytes) -> int:
    text = data.decode().strip()
    if not is_number(text, 7) or not int(text):
        raise ValueError("not a process id")
    return int(text)


class ContainerdSource:
    """The tasks of one containerd, and the names of nerdctl's stopped containers."""

    runtime = RUNTIME

    def __init__(
        self,
        root: Root,
        state: str = STATE,
        owner_uid: int = 0,
        nerdctl: str = DATA_ROOT,
        files: StateFiles | None = None,
    ) -> None:
        self.owner_uid = owner_uid
        self._files = files or StateFiles(root, owner_uid)
        self._tasks = f"{state.rstrip('/')}/{_TASKS}"
        self.places: tuple[str, ...] = (self._tasks, *(f"{self._tasks}/{each}" for each in sorted(_NAMESPACES)))
        self._names = NameStore(self._files, nerdctl)

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of a container by its whole id, in any namespace."""
        word, _, named = container_id.partition(_AT)
        if not is_hex_id(container_id) and not is_word(word):
            return None
        namespaces = self._namespaces()
        if isinstance(namespaces, Unreadable):
            return namespaces
        for namespace in namespaces if is_hex_id(container_id) else {named or _DEFAULT}.intersection(namespaces):
            found = self._files.read(f"{self._tasks}/{namespace}/{word}/config.json", _parse)
            if isinstance(found, Unreadable):
                return found
            if found is not None:
                return self._metadata(namespace, word, found)
        return next((self._stopped(*each) for each in self._names.all() if each[0] == container_id), None)

    def all(self) -> Iterator[Metadata]:
        """Every task, then nerdctl's containers that have none."""
        seen = set()
        namespaces = self._namespaces()
        for namespace in namespaces if isinstance(namespaces, list) else ():
            names = self._files.names(f"{self._tasks}/{namespace}")
            for each in names if isinstance(names, list) else ():
                name = each if is_hex_id(each) or namespace == _DEFAULT else f"{each}{_AT}{namespace}"
                if name not in seen and isinstance(found := self.get(name), Metadata):
                    seen.add(name)
                    yield found
        yield from (self._stopped(*each) for each in self._names.all() if each[0] not in seen)

    def _namespaces(self) -> list[str] | Unreadable:
        names = self._files.names(self._tasks)
        if isinstance(names, Unreadable):
            return names
        return [name for name in names if name not in _DOCKERS and is_file_name(name)]

    def _stopped(self, container_id: str, name: str) -> Metadata:
        return Metadata(runtime=RUNTIME, id=container_id, name=name, owner_uid=self.owner_uid)

    def _metadata(self, namespace: str, container_id: str, found: _Known) -> Metadata:
        key = container_id if is_hex_id(container_id) or namespace == _DEFAULT else f"{container_id}{_AT}{namespace}"
        name = container_id[:12] if is_hex_id(container_id) else key
        if found.name is None and found.nerdctl_name is not None:
            name = self._names.name(namespace, container_id, found.nerdctl_name)
        pid = self._files.read(f"{self._tasks}/{namespace}/{container_id}/init.pid", _parse_pid, _PID_BYTES)
        return Metadata(
            runtime=RUNTIME,
            id=key,
            name=found.name or name,
            image=found.image,
            labels=found.labels,
            network_mode=found.network_mode,
            memory_limit_bytes=found.memory_limit_bytes,
            pod=found.pod,
            infra=found.sandbox,
            owner_uid=self.owner_uid,
            pid=pid if isinstance(pid, int) else None,
            configured=found.configured,
        )


def _compose_labels(found: _Annotations) -> dict[str, str]:
    labels = {"com.docker.compose.project": found.project, "com.docker.compose.service": found.service}
    return {key: value[:MOST_VALUE] for key, value in labels.items() if value is not None}


def _network_mode(found: _Annotations, linux: Linux, sandbox: bool) -> str | None:
    own = oci.namespaces(linux)
    if own is not None and all(each.type != "network" for each in own):
        return "host"
    if found.sandbox and not sandbox:
        return f"container:{found.sandbox}"
    if len(found.nerdctl_networks or "") > oci.LIST_LIMIT:
        return None
    try:
        networks = _parse_networks((found.nerdctl_networks or "[]").encode())
    except (ValueError, RecursionError):
        return None
    return networks[0] if networks else None
