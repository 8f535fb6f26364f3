"""Sources whose runtime has one file or directory for each container, all in one directory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from cgroupfs import Root

from .base import Metadata, Unreadable
from .statefile import StateFiles


class FolderSource(ABC):
    """Lists the directory; a subclass reads one container of it."""

    def __init__(self, root: Root, folder: str, owner_uid: int = 0, files: StateFiles | None = None) -> None:
        self.owner_uid = owner_uid
        self._files = files or StateFiles(root, owner_uid)
        self._folder = folder.rstrip("/")
        self.places: tuple[str, ...] = (self._folder,)

    @abstractmethod
    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of one container; None: this source does not know the id."""

    def all(self) -> Iterator[Metadata]:
        """Every container in the directory that can be read, whether it runs or not."""
        names = self._files.names(self._folder)
        for name in names if isinstance(names, list) else ():
            if isinstance(found := self.get(name), Metadata):
                yield found
