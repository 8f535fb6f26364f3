"""Docker: ``docker-<id>.scope`` (systemd driver), ``docker/<id>`` or ``<--cgroup-parent>/<id>`` (cgroupfs driver).

State: ``<data root>/containers/<id>/config.v2.json`` and ``hostconfig.json``, written to a new file and renamed over
the old one at each change, so a rename of the container shows at once::

    {"State": {"Running": true, "Paused": false, "Restarting": false, "StartedAt": "2026-11-25T10:56:40.719158146Z"},
     "Created": "2026-11-25T10:56:36.017779946Z", "Config": {"Image": "lab/busybox:1", "Labels": {"app": "web"}},
     "Image": "sha256:f5ef…", "Name": "/web"}                    {"NetworkMode": "bridge", "Memory": 134217728}

Config also holds the environment: only the fields of the structs below are ever decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Annotated

import msgspec

from cgroupfs import Root

from . import docker_networks, oci
from .base import (
    HEX_ID,
    MOST_VOLUMES,
    Configured,
    ExitCode,
    LogSize,
    Match,
    Metadata,
    Skip,
    State,
    Unreadable,
    Volume,
    is_hex_id,
)
from .docker_health import Check, check_of
from .endpoints import NetworkSettings, docker_network
from .engine import EngineRecord
from .folder import FolderSource
from .health_log import Written
from .labels import NULL, Wanted, cut
from .logs import log_size
from .state_values import Int, holds, parser_of, unix_time
from .statefile import StateFiles

RUNTIME = "docker"
DATA_ROOT = "/var/lib/docker"
_named = re.compile(rf"(?:docker-({HEX_ID})\.scope|[^/]*:docker:({HEX_ID}))").fullmatch


def match(parent: str, name: str) -> Match | Skip | None:
    """Last in the order of matchers: a bare id below any parent is Docker's unless another runtime claims it.

    ``system.slice:docker:<id>`` is one directory's name, made by runc's cgroupfs driver from a systemd path.
    """
    if found := _named(name):
        return Match(RUNTIME, found[1] or found[2])
    # A pod of Podman's cgroupfs driver is libpod_parent/<pod id>: its containers are below, it is not one itself.
    if is_hex_id(name) and parent.rpartition("/")[2] != "libpod_parent":
        return Match(RUNTIME, name)
    return None


class _State(msgspec.Struct, rename="pascal", frozen=True):
    running: bool = False
    paused: bool = False
    restarting: bool = False
    pid: Int = 0
    dead: bool = False
    removal_in_progress: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: Int | None = None
    oom_killed: bool | None = msgspec.field(name="OOMKilled", default=None)
    health: Written | None = None


class _Config(msgspec.Struct, rename="pascal", frozen=True):
    image: str | None = None
    labels: Annotated[msgspec.Raw, holds(dict[str, str])] = NULL
    hostname: str | None = None
    tty: bool = False
    healthcheck: Check | None = None


class _Mount(msgspec.Struct, rename="pascal", frozen=True):
    """Not from where, nor to where."""

    name: str = ""
    driver: str = ""
    rw: bool = msgspec.field(name="RW", default=True)


class Container(msgspec.Struct, rename="pascal", frozen=True):
    """config.v2.json."""

    name: str
    created: datetime | None = None
    image: str | None = None
    restart_count: Int | None = None
    path: str | None = None
    state: _State = _State()
    config: _Config = _Config()
    network_settings: Annotated[msgspec.Raw, holds(NetworkSettings)] = NULL
    mount_points: Annotated[msgspec.Raw, holds(dict[str, _Mount])] = NULL


class _RestartPolicy(msgspec.Struct, rename="pascal", frozen=True):
    name: str = ""
    maximum_retry_count: Int = 0


class _LogConfig(msgspec.Struct, rename="pascal", frozen=True):
    """Not its options, which may be secrets."""

    type: str = ""


class HostConfig(msgspec.Struct, rename="pascal", frozen=True):
    """hostconfig.json."""

    network_mode: str | None = None
    memory: Int | None = None
    memory_swap: Int | None = None
    nano_cpus: Int | None = None
    cpu_quota: Int | None = None
    cpu_period: Int | None = None
    pids_limit: Int | None = None
    restart_policy: _RestartPolicy | None = None
    log_config: _LogConfig | None = None


class DaemonConfig(msgspec.Struct, rename="kebab", frozen=True):
    """daemon.json."""

    data_root: str | None = None
    graph: str | None = None
    """The name of data-root before Docker 17.05; removed in 23.0."""


_decode_container = parser_of(Container)
_decode_hostconfig = parser_of(HostConfig)
_parse_daemon = parser_of(DaemonConfig)
_parse_mounts = msgspec.json.Decoder(dict[str, _Mount] | None).decode
_MOST_MOUNT_BYTES = 64 << 10
"""Of JSON; longer ones are never decoded."""


def docker_data_root(root: Root) -> str:
    """Where the system's Docker keeps its state, as ``/etc/docker/daemon.json`` says."""
    config = StateFiles(root).read("/etc/docker/daemon.json", _parse_daemon)
    found = (config.data_root or config.graph) if isinstance(config, DaemonConfig) else None
    return found if found and found.startswith("/") else DATA_ROOT


def _state_of(state: _State) -> State:
    if state.running:  # Docker also says running of a paused one, and of one that waits for its restart
        if state.paused:
            return State.PAUSED
        return State.RESTARTING if state.restarting else State.RUNNING
    return State.CREATED if unix_time(state.started_at) is None else State.EXITED


def _has_code(state: State, code: int | None) -> bool:
    """Of one that was made alone it is a failed start's (127: its program is missing), or 0."""
    return state in (State.EXITED, State.RESTARTING) or (state is State.CREATED and bool(code))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known(EngineRecord):
    """What is kept of one config.v2.json."""

    going: bool
    """It is being removed."""
    hostname: str
    terminal: bool
    volumes: tuple[Volume, ...]


def _parse_container(data: bytes, wanted: Wanted) -> _Known:
    found = _decode_container(data)
    state = _state_of(found.state)
    endpoints, ports = docker_network(found.network_settings)
    return _Known(
        name=found.name.removeprefix("/")[:256],
        image=cut(found.config.image),
        image_id=cut(found.image),
        labels=wanted.parse(found.config.labels, "$.Config.Labels"),
        created_seconds=unix_time(found.created),
        state=state,
        started_seconds=unix_time(found.state.started_at),
        restarts=found.restart_count,
        exit_code=found.state.exit_code if _has_code(state, found.state.exit_code) else None,
        oom_killed=found.state.oom_killed,
        finished_seconds=unix_time(found.state.finished_at),
        pid=found.state.pid or None,
        program=cut(found.path),
        endpoints=endpoints,
        ports=ports,
        health=check_of(found.config.healthcheck, found.state.health, unix_time(found.state.started_at)),
        going=found.state.dead or found.state.removal_in_progress,
        hostname=cut(found.config.hostname) or "",
        terminal=found.config.tty,
        volumes=_volumes(found.mount_points),
    )


def _volumes(raw: msgspec.Raw) -> tuple[Volume, ...]:
    """Those that have names; empty where they are malformed."""
    try:
        found = (_parse_mounts(raw) if len(memoryview(raw)) <= _MOST_MOUNT_BYTES else None) or {}
    except (ValueError, RecursionError):
        return ()
    named = (each for each in found.values() if each.name)
    return tuple(Volume(cut(each.name) or "", cut(each.driver) or "", each.rw) for each in islice(named, MOST_VOLUMES))


def _parse_hostconfig(data: bytes) -> HostConfig:
    found = _decode_hostconfig(data)
    policy, logs = found.restart_policy or _RestartPolicy(), found.log_config or _LogConfig()
    return msgspec.structs.replace(
        found,
        network_mode=cut(found.network_mode),
        restart_policy=_RestartPolicy(cut(policy.name) or "", policy.maximum_retry_count),
        log_config=_LogConfig(cut(logs.type) or ""),
    )


def _configured(container: _Known, host: HostConfig) -> Configured:
    policy, logs = host.restart_policy or _RestartPolicy(), host.log_config or _LogConfig()
    cpus = oci.positive(host.nano_cpus)
    return Configured(
        hostname=container.hostname,
        terminal=container.terminal,
        restart_policy=policy.name,
        restart_retries=policy.maximum_retry_count,
        log_driver=logs.type,
        cpus=cpus / 1e9 if cpus else None,
        cpu_quota_usec=oci.positive(host.cpu_quota),
        cpu_period_usec=oci.positive(host.cpu_period),
        pids_limit=oci.positive(host.pids_limit),
        memory_and_swap_bytes=host.memory_swap or None,
        volumes=container.volumes,
    )


class DockerSource(FolderSource):
    """The containers of one Docker daemon.

    A hostconfig.json that cannot be read costs the network mode and the limit, never the name.
    """

    runtime = RUNTIME

    def __init__(
        self, root: Root, data_root: str = DATA_ROOT, owner_uid: int = 0, files: StateFiles | None = None
    ) -> None:
        super().__init__(root, f"{data_root.rstrip('/')}/containers", owner_uid, files)
        self._networks = f"{data_root.rstrip('/')}/{docker_networks.FILE}"
        self._drivers: dict[str, str] = {}
        """Of the networks that containers have been in, by their ids; empty: not written."""

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of a container by its whole id."""
        if not is_hex_id(container_id):
            return None
        folder = f"{self._folder}/{container_id}"
        container = self._files.read(f"{folder}/config.v2.json", self._parse)
        if container is None or isinstance(container, Unreadable):
            return container
        host = self._files.read(f"{folder}/hostconfig.json", _parse_hostconfig)
        if host is None and container.going:
            return None  # its files are being removed, one by one
        host = host if isinstance(host, HostConfig) else HostConfig()
        endpoints = tuple(replace(each, driver=self._driver(each.network_id)) for each in container.endpoints)
        return replace(container, endpoints=endpoints).metadata(
            RUNTIME,
            container_id,
            self.owner_uid,
            kept_in=folder,
            network_mode=host.network_mode or None,
            memory_limit_bytes=oci.positive(host.memory),
            configured=_configured(container, host),
        )

    def _driver(self, network_id: str) -> str:
        """The file is written whenever a container starts: it is read where a network was not known."""
        found = self._drivers.get(network_id)
        if found is None and is_hex_id(network_id):
            written = self._files.read(self._networks, docker_networks.parse, docker_networks.LIMIT)
            if len(self._drivers) >= docker_networks.MOST:
                self._drivers.clear()
            found = self._drivers[network_id] = written.get(network_id, "") if isinstance(written, dict) else ""
        return found or ""

    def _parse(self, data: bytes) -> _Known:
        return _parse_container(data, self._files.wanted)

    def record_folder(self, container_id: str) -> str | None:
        """Each change is a new file that is renamed over the old one."""
        return f"{self._folder}/{container_id}" if is_hex_id(container_id) else None

    def exit_code(self, container_id: str) -> ExitCode | None:
        """Nothing is kept of a container that was removed."""
        return None

    def log_size(self, container_id: str) -> LogSize | Unreadable | None:
        """Of the driver json-file: ``<id>-json.log``, rotated into ``.1``, ``.2.gz``, … (max-file, compress)."""
        return log_size(self._files, f"{self._folder}/{container_id}", f"{container_id}-json.log")
