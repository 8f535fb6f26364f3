"""containers/storage, which Podman, CRI-O and Buildah share: ``<storage>/<driver>-containers/``.

``containers.json`` lists the containers, ``volatile-containers.json`` those made with ``--rm``; ``metadata`` is the
tool's own, JSON in a string::

    [{"id": "cd33…", "names": ["pm-burn"], "image": "17f8…", "created": "2026-11-25T10:57:28.57152728Z",
      "metadata": "{\\"image-name\\":\\"localhost/lab/busybox:1\\",\\"name\\":\\"pm-burn\\"}"}]

``<id>/userdata/`` holds the OCI config.json (with the environment) and, of CRI-O, state.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated

import msgspec

from .base import Unreadable, is_hex_id
from .labels import NULL, cut
from .state_values import holds, parser_of, unix_time
from .statefile import MOST_NAMES, USERS_NAMES, StateFiles

STORAGE = "/var/lib/containers/storage"
_LISTS = ("containers.json", "volatile-containers.json")
_LIST_LIMIT = 16 << 20
_USERS_LIST_LIMIT = 1 << 20
"""Bytes. A real entry has some 800; a made-up one has ten, and becomes an object of ten times that."""
_NAMES_LIMIT = 4 << 10
_MOST_FOLDERS = 8
"""There are that many drivers; a user can make any number of directories."""


class Entry(msgspec.Struct, frozen=True):
    """One container of a list; ``metadata``: a Tool as JSON, where it is Podman's or CRI-O's."""

    id: str
    names: Annotated[msgspec.Raw, holds(list[str])] = NULL
    image: str | None = None
    created: datetime | None = None
    metadata: str | None = None


class Tool(msgspec.Struct, rename="kebab", frozen=True):
    """Podman's and CRI-O's own words of a container."""

    image_name: str | None = None
    pod_name: str | None = None
    pod_id: str | None = None


_parse_entries = parser_of(list[Entry])
_parse_tool = parser_of(Tool)
_parse_names = msgspec.json.Decoder(list[str] | None).decode


@dataclass(frozen=True, slots=True)
class StoredContainer:
    """One container of a list."""

    id: str
    name: str
    image: str | None
    image_id: str | None
    created_seconds: float | None
    kubernetes: bool
    """Made by CRI-O: Podman's metadata has no pod."""


def _tool(text: str | None) -> Tool:
    try:
        return _parse_tool((text or "{}").encode())
    except (ValueError, RecursionError):
        return Tool()  # another tool's own words (Buildah's): none of them is needed


def _stored(entry: Entry) -> StoredContainer:
    tool = _tool(entry.metadata)
    names = _parse_names(entry.names) if len(memoryview(entry.names)) <= _NAMES_LIMIT else None
    return StoredContainer(
        id=entry.id,
        name=names[0][:256] if names else entry.id[:12],
        image=cut(tool.image_name) or None,
        image_id=cut(entry.image) or None,
        created_seconds=unix_time(entry.created),
        kubernetes=bool(tool.pod_name or tool.pod_id),
    )


def _parse(data: bytes, most: int) -> dict[str, StoredContainer]:
    return {entry.id: _stored(entry) for entry in islice(_parse_entries(data), most) if is_hex_id(entry.id)}


class ContainersStorage:
    """One storage directory, read through its owner's StateFiles."""

    def __init__(self, files: StateFiles, storage: str = STORAGE) -> None:
        self.path = storage.rstrip("/")
        self._files = files
        lists = (f"{self.path}/{driver}-containers" for driver in ("overlay", "vfs", "btrfs", "zfs"))
        self.places: tuple[str, ...] = (self.path, f"{self.path}/db.sql", *lists)
        self.problem: Unreadable | None = None
        """Why the latest look at the lists was not whole."""

    def folders(self) -> list[str]:
        """The ``<driver>-containers`` directories: one, or more after a change of the driver."""
        names = self._files.names(self.path)
        if isinstance(names, Unreadable):
            self.problem = names
            return []
        return [f"{self.path}/{name}" for name in names if name.endswith("-containers")][:_MOST_FOLDERS]

    def get(self, container_id: str) -> StoredContainer | None:
        """A container of the lists; ``problem`` says whether one of them could not be read."""
        return next((each[container_id] for each in self._lists() if container_id in each), None)

    def all(self) -> Iterator[StoredContainer]:
        """Every container of the lists."""
        for each in self._lists():
            yield from each.values()

    def _lists(self) -> Iterator[dict[str, StoredContainer]]:
        self.problem = None
        for folder in self.folders():
            for name in _LISTS:
                limit = _USERS_LIST_LIMIT if self._files.owner_uid else _LIST_LIMIT
                found = self._files.read(f"{folder}/{name}", self._parse, limit)
                if isinstance(found, Unreadable):
                    self.problem = found
                elif found is not None:
                    yield found

    def _parse(self, data: bytes) -> dict[str, StoredContainer]:
        return _parse(data, USERS_NAMES if self._files.owner_uid else MOST_NAMES)
