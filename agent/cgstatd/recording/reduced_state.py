"""Reduces a runtime's state file to what the readers use: whitelists, so that nothing else leaves the host.

Such files hold environment variables, arguments, mounts and keys. A field is kept because a struct of
``host/runtimes`` reads it; nothing is listed twice. Each function takes a file's content and returns what is kept of
it, empty where the file as a whole is not needed; ValueError: not the format, so nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from ..host.runtimes import containerd, crio, docker, lxc, nerdctl, nspawn, storage
from ..host.runtimes import docker_networks as docker_networks_file
from ..host.runtimes import health_log as health_log_file
from ..host.runtimes.state_values import HOLDS

Keep = dict[str, Any]
"""Field -> None: its value, where that is plain; another Keep: these fields of the object (or of each in a list)."""
EACH = "*"
"""In place of a field: each of an object whose fields are names."""
_PLAIN = (inspect.StrType, inspect.IntType, inspect.BoolType, inspect.DateTimeType)


def kept(kind: Any) -> Keep | None:
    """The fields that a reader decodes, by their names in JSON; None: a plain value.

    ``kind``: a struct, or what msgspec says of a type. Raises TypeError for a type of which nothing is to be kept: a
    msgspec.Raw without ``holds``, which may be anything.
    """
    match kind if isinstance(kind, inspect.Type) else inspect.type_info(kind):
        case inspect.StructType(fields=fields):
            return {field.encode_name: kept(field.type) for field in fields}
        case inspect.Metadata(type=inner, extra=extra):
            return kept(extra[HOLDS] if extra else inner)
        case inspect.ListType(item_type=item):
            return kept(item)
        case inspect.DictType(value_type=value):
            fields_of_each = kept(value)
            return None if fields_of_each is None else {EACH: fields_of_each}
        case inspect.UnionType(types=types):
            (one,) = (each for each in types if not isinstance(each, inspect.NoneType))
            return kept(one)
        case plain if isinstance(plain, _PLAIN):
            return None
    raise TypeError(f"{kind}: a reader takes it as it is, and a recording cannot")


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


def _fields(kind: type[msgspec.Struct]) -> Keep:
    return kept(kind) or {}


def _lines(names: frozenset[str]) -> Callable[[bytes], bytes]:
    def reduce(data: bytes) -> bytes:
        keys = frozenset(name.encode() for name in names)
        lines = [line for line in data.splitlines() if line.partition(b"=")[0].strip() in keys]
        return b"".join(line + b"\n" for line in lines) or b"\n"

    return reduce


_DOCKER_CONFIG: Keep = {"ID": None} | _fields(docker.Container)
_TASK = _fields(containerd.Bundle)
del _TASK["linux"]["namespaces"]["path"]  # which of its own a container has is enough
_STORED, _TOOL = _fields(storage.Entry), _fields(storage.Tool)
del _STORED["metadata"]  # JSON in a string: _tool

docker_hostconfig = _object(_fields(docker.HostConfig))
docker_daemon = _object(_fields(docker.DaemonConfig))
health_log = _object(_fields(health_log_file.Written))
containerd_config = _object(_TASK)
crio_state = _object(_fields(crio.Now))
lxc_config = _lines(lxc.KEYS)
machine = _lines(nspawn.KEYS)
_docker_config = _object(_DOCKER_CONFIG)
_crio_config = _object(_fields(crio.Config))


def docker_config(data: bytes) -> bytes:
    """Of what is mounted the volumes that have names; not where."""
    found = msgspec.json.decode(_docker_config(data))
    mounts = found.get("MountPoints")
    if isinstance(mounts, dict):
        named = [each for each in mounts.values() if isinstance(each, dict) and each.get("Name")]
        found["MountPoints"] = {str(number): each for number, each in enumerate(named)}
    return msgspec.json.encode(found)


def docker_networks(data: bytes) -> bytes:
    """The drivers of networks, as their reader finds them."""
    found = docker_networks_file.parse(data)
    return b"".join(b'{"id":"%b","networkType":"%b"}\n' % (key.encode(), each.encode()) for key, each in found.items())


def crio_config(data: bytes) -> bytes:
    """Empty for a container of Podman's in the same place: that is in its database."""
    found = _crio_config(data)
    manager = (msgspec.json.decode(found).get("annotations") or {}).get("io.container.manager")
    return found if manager == "cri-o" else b""


def storage_list(data: bytes) -> bytes:
    """containers.json; ``metadata`` is JSON in a string."""
    entries = msgspec.json.decode(data, type=list[dict[str, Any]])
    return msgspec.json.encode([_kept(entry, _STORED) | _tool(entry.get("metadata")) for entry in entries])


def _tool(text: Any) -> dict[str, str]:
    try:
        value = msgspec.json.decode(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}  # another tool's own words
    return {"metadata": msgspec.json.encode(_kept(value, _TOOL)).decode()} if isinstance(value, dict) else {}


def nerdctl_name(data: bytes) -> bytes:
    """The container's id."""
    return nerdctl.parse_id(data).encode()


def pid(data: bytes) -> bytes:
    """The number alone."""
    return b"%d" % int(data.decode())


def passwd(data: bytes, uids: frozenset[int]) -> bytes:
    """Name and home of the users that own containers."""
    kept = b""
    for line in data.splitlines():
        fields = line.split(b":")
        if len(fields) == 7 and fields[2].isdigit() and int(fields[2]) in uids:
            kept += b":".join((fields[0], b"x", fields[2], fields[2], b"", fields[5], b"")) + b"\n"
    return kept
