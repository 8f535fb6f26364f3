"""nerdctl's names: the file ``/var/lib/nerdctl/<hash of the address>/names/<namespace>/<name>`` holds the id.

Only this is renamed by ``nerdctl rename``; the annotation in the running task's config.json stays what it was. The
files stay while the container exists, running or not.
"""

from __future__ import annotations

from collections.abc import Iterator

from .base import is_hex_id
from .state_values import is_file_name
from .statefile import StateFiles

DATA_ROOT = "/var/lib/nerdctl"
_ID_LIMIT = 256


def parse_id(data: bytes) -> str:
    """The content of a name's file. Raises ValueError."""
    found = data.decode().strip()
    if not is_hex_id(found):
        raise ValueError("not a container's id")
    return found


class NameStore:
    """The names in all namespaces of all containerd addresses, read through their owner's StateFiles."""

    def __init__(self, files: StateFiles, data_root: str = DATA_ROOT) -> None:
        self._files = files
        self._data_root = data_root.rstrip("/")

    def _names(self, directory: str) -> list[str]:
        names = self._files.names(directory)
        return [name for name in names if is_file_name(name)] if isinstance(names, list) else []

    def _id(self, path: str) -> str | None:
        found = self._files.read(path, parse_id, _ID_LIMIT)
        return found if isinstance(found, str) else None

    def _folders(self, namespace: str | None = None) -> Iterator[str]:
        for address in self._names(self._data_root):
            names = f"{self._data_root}/{address}/names"
            for each in self._names(names) if namespace is None else (namespace,):
                yield f"{names}/{each}"

    def name(self, namespace: str, container_id: str, annotated: str) -> str:
        """The container's name now. First it looks whether the name in the annotation still holds."""
        folders = list(self._folders(namespace))
        if is_file_name(annotated) and any(self._id(f"{folder}/{annotated}") == container_id for folder in folders):
            return annotated
        for folder in folders:
            for name in self._names(folder):
                if self._id(f"{folder}/{name}") == container_id:
                    return name
        return annotated

    def all(self) -> Iterator[tuple[str, str]]:
        """(container id, name) of every container that nerdctl made and did not remove."""
        for folder in self._folders():
            for name in self._names(folder):
                if (found := self._id(f"{folder}/{name}")) is not None:
                    yield found, name
