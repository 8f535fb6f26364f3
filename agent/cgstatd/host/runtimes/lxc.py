"""LXC: ``lxc.payload.<name>`` (since 4.0), ``lxc.payload/<name>`` (3.2) or ``lxc/<name>`` (older).

``lxc.monitor…`` holds the monitor process and ``lxc.pivot`` a dying one: neither is a container.

State: ``/var/lib/lxc/<name>/config``, ``lxc.container.conf(5)``: lines ``key = value``, also ``lxc.environment``,
which is never looked at::

    lxc.net.0.type = veth
    lxc.net.0.link = lxcbr0
    lxc.cgroup2.memory.max = 48M
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cgroupfs import Root

from .base import SKIP, Match, Metadata, Skip, Unreadable
from .folder import FolderSource
from .labels import cut
from .state_values import is_file_name
from .statefile import StateFiles

RUNTIME = "lxc"
STATE = "/var/lib/lxc"
_CONFIG_LIMIT = 256 << 10
"""Bytes; a config has some hundred lines."""
_NOT = ("lxc.monitor", "lxc.pivot")
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_size = re.compile(r"([0-9]{1,18})([KMGT]?)B?", re.IGNORECASE | re.ASCII).fullmatch
_MEMORY = frozenset({"lxc.cgroup2.memory.max", "lxc.cgroup.memory.limit_in_bytes"})
_TYPE = frozenset({"lxc.net.0.type", "lxc.network.type"})
_LINK = frozenset({"lxc.net.0.link", "lxc.network.link"})
KEYS = _MEMORY | _TYPE | _LINK
"""All that is looked at."""


def match(parent: str, name: str) -> Match | Skip | None:
    """First in the order of matchers: below ``lxc/`` any name is a container, whatever it looks like."""
    above = parent.rpartition("/")[2]
    if name in _NOT or name.startswith(("lxc.monitor.", "lxc.pivot.")) or above == "lxc.monitor":
        return SKIP
    container = name.removeprefix("lxc.payload.")
    if container == name and above not in ("lxc", "lxc.payload"):
        return None
    # A name that cannot be shown or sent is no container's: LXC makes a directory and a host name of it.
    return Match(RUNTIME, container) if is_file_name(container) else None


@dataclass(frozen=True, slots=True)
class _Config:
    network_mode: str | None
    memory_limit_bytes: int | None


def _bytes(text: str) -> int | None:
    found = _size(text)
    return int(found[1]) << _UNITS[found[2].upper()] if found else None  # "max" is no limit


def _parse(data: bytes) -> _Config:
    kind = link = limit = None
    for line in data.decode().splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key in _TYPE:
            kind = kind or value
        elif key in _LINK:
            link = link or value
        elif key in _MEMORY:
            limit = _bytes(value)
    # LXC's words mean other things than Docker's: "none" is no namespace of its own, "empty" one with lo alone.
    mode = {"none": "host", "empty": "none", "": None, None: None}.get(kind, link or kind)
    return _Config(cut(mode), limit)


class LxcSource(FolderSource):
    """The containers that ``lxc-create`` made, of the system or (in ``~/.local/share/lxc``) of one user.

    LXC's files do not say which of them run.
    """

    runtime = RUNTIME

    def __init__(self, root: Root, state: str = STATE, owner_uid: int = 0, files: StateFiles | None = None) -> None:
        super().__init__(root, state, owner_uid, files)

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of a container by its name."""
        if not is_file_name(container_id):
            return None
        config = self._files.read(f"{self._folder}/{container_id}/config", _parse, _CONFIG_LIMIT)
        if config is None or isinstance(config, Unreadable):
            return config
        return Metadata(
            runtime=RUNTIME,
            id=container_id,
            name=container_id,
            network_mode=config.network_mode,
            memory_limit_bytes=config.memory_limit_bytes,
            owner_uid=self.owner_uid,
        )
