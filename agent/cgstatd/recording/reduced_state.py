"""Reduces a runtime's state file to what the readers use: whitelists, so that nothing else leaves the host.

Such files hold environment variables, arguments, mounts and keys. Each function takes a file's content and returns what
is kept of it, empty where the file as a whole is not needed; ValueError: not the format, so nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..host.runtimes import docker_networks as docker_networks_file
from ..host.runtimes.base import is_hex_id

Keep = dict[str, Any]
"""Field -> None: its value, where that is plain; another Keep: these fields of the object (or of each in a list)."""
EACH = "*"
"""In place of a field: each of an object whose fields are names."""


def _fields(names: str) -> Keep:
    return dict.fromkeys(names.split())


_HEALTH: Keep = _fields("Status FailingStreak") | {"Log": _fields("End")}
_CONFIG_V2: Keep = _fields("ID Name Created Image RestartCount Path") | {
    "State": _fields("Running Paused Restarting Pid Dead RemovalInProgress StartedAt FinishedAt ExitCode OOMKilled")
    | {"Health": _HEALTH},
    "Config": _fields("Image Labels Hostname Tty") | {"Healthcheck": _fields("Interval StartPeriod StartInterval")},
    "NetworkSettings": {
        "Networks": {
            EACH: _fields(
                "NetworkID EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen "
                "MacAddress"
            )
        },
        "Ports": {EACH: _fields("HostIp HostPort")},
    },
    "MountPoints": {EACH: _fields("Name Driver RW")},
}
_HOSTCONFIG: Keep = _fields("NetworkMode Memory MemorySwap NanoCpus CpuQuota CpuPeriod PidsLimit") | {
    "RestartPolicy": _fields("Name MaximumRetryCount"),
    "LogConfig": _fields("Type"),
}
_STORED = _fields("id names image created")
_STORED_TOOL = _fields("image-name pod-name pod-id")
_CRIO: Keep = {
    "annotations": _fields(
        "io.container.manager io.kubernetes.cri-o.ContainerType io.kubernetes.container.name io.kubernetes.pod.name "
        "io.kubernetes.pod.namespace io.kubernetes.pod.uid io.kubernetes.cri-o.ImageName io.kubernetes.cri-o.Image "
        "io.kubernetes.cri-o.ImageRef io.kubernetes.cri-o.SandboxID io.kubernetes.cri-o.Labels "
        "io.kubernetes.cri-o.Created io.kubernetes.cri-o.HostNetwork"
    )
}
_CONTAINERD: Keep = {
    "annotations": _fields(
        "io.kubernetes.cri.container-type io.kubernetes.cri.container-name io.kubernetes.cri.sandbox-name "
        "io.kubernetes.cri.sandbox-namespace io.kubernetes.cri.sandbox-uid io.kubernetes.cri.sandbox-id "
        "io.kubernetes.cri.image-name io.kubernetes.cri.podsandbox.image-name nerdctl/name nerdctl/networks "
        "com.docker.compose.project com.docker.compose.service"
    ),
    "linux": {
        "namespaces": _fields("type"),
        "resources": {"memory": _fields("limit swap"), "cpu": _fields("quota period"), "pids": _fields("limit")},
    },
    "process": _fields("terminal"),
    "hostname": None,
}
_LXC = frozenset(
    b"lxc.net.0.type lxc.network.type lxc.net.0.link lxc.network.link lxc.cgroup2.memory.max "
    b"lxc.cgroup.memory.limit_in_bytes".split()
)
_MACHINE = frozenset({b"NAME", b"CLASS", b"REALTIME"})
_SCALARS = (str, int, float, type(None))


def _plain(value: Any) -> Any:
    """A scalar, or the scalars of a list or an object."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, _SCALARS)]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if isinstance(item, _SCALARS)}
    return value


def _kept(value: Any, keep: Keep | None) -> Any:
    if keep is None:
        return _plain(value)
    if isinstance(value, list):
        return [_kept(item, keep) for item in value if isinstance(item, dict)]
    if isinstance(value, dict) and EACH in keep:
        return {key: _kept(item, keep[EACH]) for key, item in value.items()}
    if isinstance(value, dict):
        return {key: _kept(value[key], inner) for key, inner in keep.items() if key in value}
    return None


def _object(keep: Keep) -> Callable[[bytes], bytes]:
    def reduce(data: bytes) -> bytes:
        value = msgspec.json.decode(data)
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return msgspec.json.encode(_kept(value, keep))

    return reduce


def fields(names: str) -> Callable[[bytes], bytes]:
    """Of a JSON object the fields of these names, each where it is plain."""
    return _object(_fields(names))


docker_hostconfig = _object(_HOSTCONFIG)
health_log = _object(_HEALTH)
"""Podman's, without what the probes printed."""
containerd_config = _object(_CONTAINERD)
_docker_config = _object(_CONFIG_V2)
_crio_config = _object(_CRIO)


def docker_config(data: bytes) -> bytes:
    """Of what is mounted the volumes that have names; not where."""
    kept = msgspec.json.decode(_docker_config(data))
    mounts = kept.get("MountPoints")
    if isinstance(mounts, dict):
        named = [each for each in mounts.values() if isinstance(each, dict) and each.get("Name")]
        kept["MountPoints"] = {str(number): each for number, each in enumerate(named)}
    return msgspec.json.encode(kept)


def docker_networks(data: bytes) -> bytes:
    """The drivers of networks, as their reader finds them."""
    found = docker_networks_file.parse(data)
    return b"".join(b'{"id":"%b","networkType":"%b"}\n' % (key.encode(), each.encode()) for key, each in found.items())


def crio_config(data: bytes) -> bytes:
    """Podman's containers in the same place are in its database."""
    kept = _crio_config(data)
    manager = (msgspec.json.decode(kept).get("annotations") or {}).get("io.container.manager")
    return kept if manager == "cri-o" else b""


def storage_list(data: bytes) -> bytes:
    """containers.json; ``metadata`` is JSON in a string."""
    entries = msgspec.json.decode(data, type=list[dict[str, Any]])
    return msgspec.json.encode([_kept(entry, _STORED) | _tool(entry.get("metadata")) for entry in entries])


def _tool(text: Any) -> dict[str, str]:
    try:
        value = msgspec.json.decode(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}  # another tool's own words
    return {"metadata": msgspec.json.encode(_kept(value, _STORED_TOOL)).decode()} if isinstance(value, dict) else {}


def _lines(names: frozenset[bytes]) -> Callable[[bytes], bytes]:
    def reduce(data: bytes) -> bytes:
        kept = [line for line in data.splitlines() if line.partition(b"=")[0].strip() in names]
        return b"".join(line + b"\n" for line in kept) or b"\n"

    return reduce


lxc_config = _lines(_LXC)
machine = _lines(_MACHINE)


def nerdctl_name(data: bytes) -> bytes:
    """The container's id."""
    if not is_hex_id(data.decode().strip()):
        raise ValueError("not a container's id")
    return data.strip()


def pid(data: bytes) -> bytes:
    """A number."""
    return b"%d" % int(data.decode())


def passwd(data: bytes, uids: frozenset[int]) -> bytes:
    """Name and home of the users that own containers."""
    kept = b""
    for line in data.splitlines():
        fields = line.split(b":")
        if len(fields) == 7 and fields[2].isdigit() and int(fields[2]) in uids:
            kept += b":".join((fields[0], b"x", fields[2], fields[2], b"", fields[5], b"")) + b"\n"
    return kept
