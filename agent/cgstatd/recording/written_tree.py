"""The files of one reading, written below a directory by their host paths."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from cgroupfs import Clock

from ..basics.text import printable
from .recorded_root import Instant, Reading, RecordedFile, index_key

_PATH_MAX = 4096
_NOTES = 1000
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class CannotRecord(Exception):
    """Nothing was recorded; the text says which path is in the way, and what to do."""


class Piece(NamedTuple):
    """One file (or, without data, one directory) of the host, and what a plain copy of it would lose."""

    path: str
    data: bytes | None = None
    inode: int | None = None
    uid: int = 0
    size: int | None = None
    """Of a file whose content is left out."""


class LeftOut:
    """What could not be recorded, each path once, bounded: names are input."""

    def __init__(self) -> None:
        self.notes: dict[str, None] = {}
        self.more = 0

    def add(self, path: str, reason: str) -> None:
        """Note a path and why."""
        note = f"{printable(path, 300)}: {reason}"
        if note in self.notes:
            return
        if len(self.notes) < _NOTES:
            self.notes[note] = None
        else:
            self.more += 1

    def failed(self, path: str, error: OSError) -> list[Piece]:
        """Note a path that cannot be read; nothing of it is recorded."""
        self.add(path, error.strerror or "cannot be read")
        return []


class TreeWriter:
    """Collects one reading and writes it afterwards, so that writing does not draw the reading out."""

    def __init__(self, path: str, clock: Clock) -> None:
        self.path = path
        self.files = 0
        self.bytes = 0
        self._clock = clock
        self._clocks: dict[str, Instant] = {}
        self._pieces: dict[str, Piece] = {}

    def _real(self, path: str) -> str:
        """The path below the tree, never above it."""
        return self.path + os.path.normpath("/" + path.lstrip("/"))

    def fits(self, pieces: Iterable[Piece]) -> bool:
        """Whether the paths are short enough below this directory."""
        return all(len(os.fsencode(self._real(piece.path))) < _PATH_MAX for piece in pieces)

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take what is not there yet: two containers may share a process."""
        for piece in pieces:
            self._pieces.setdefault(piece.path, piece)

    def write(self) -> None:
        """Write everything. Raises CannotRecord where the destination cannot take it."""
        for piece in self._pieces.values():
            try:
                self._write(self._real(piece.path), piece.data)
            except OSError as error:
                raise CannotRecord(
                    f"{printable(self.path)}: {error.strerror}: name a directory that can be written and has room"
                ) from error

    def _write(self, real: str, data: bytes | None) -> None:
        if data is None:
            os.makedirs(real, exist_ok=True)
            return
        os.makedirs(os.path.dirname(real), exist_ok=True)
        with open(os.open(real, _CREATE, 0o644), "wb") as file:
            file.write(data)
        self.files += 1
        self.bytes += len(data)

    def clock(self, path: str, clock: Clock) -> None:
        """When the files of the cgroup at ``path`` were read."""
        self._clocks[index_key(path)] = Instant(clock.monotonic_ns, clock.time_ms)

    def reading(self) -> Reading:
        """What the index says of this reading."""
        at = self._clock
        facts = {
            index_key(piece.path): RecordedFile(piece.inode, piece.uid, piece.size)
            for piece in self._pieces.values()
            if piece.inode is not None or piece.uid or piece.size is not None
        }
        return Reading(monotonic_ns=at.monotonic_ns, time_ms=at.time_ms, files=facts, clocks=self._clocks)
