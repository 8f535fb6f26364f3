"""Reads a recorded tree: files of a host as ``cgstatd record`` wrote them, with what plain files lose in an index.

``DIR/{t0,t1}/…`` are the files by their host paths, read twice; ``DIR/index.json`` is::

    {"format": 1,
     "host": {"kernel": "6.12.…", "mode": "unified", "cpus": 2, "page_size": 4096},
     "readings": {"t0": {"monotonic_ns": 1, "time_ms": 1,
                         "files": {"/proc/670/net/dev": {"inode": 4026532370},
                                   "/sys/fs/cgroup/user.slice/…": {"uid": 1000}},
                         "clocks": {"/system.slice/docker-….scope": {"monotonic_ns": 1, "time_ms": 1}}}, "t1": …}}

``files`` holds inode and owner where they matter, and the size of a file whose content is left out (a log); an owner
that is not listed is root. ``clocks`` says when each
container's own files were read, since reading a whole host takes a while. ``left_out``, where it is there, says what
could not be recorded. A byte of a path that is not UTF-8 is written ``\\xff``.

Of a process of root that is an engine, ``/proc/<pid>/cmdline`` is there, reduced to the option that names the engine's
data root; that is how the reader finds the state files below it. Data roots that the command line of ``cgstatd record``
named stand there as engines with pids that no process can have (``kernel.pid_max`` is at most 4194304).
"""

from __future__ import annotations

import os

import msgspec

from cgroupfs import Clock, Identity, Root

INDEX = "index.json"
FORMAT = 1


class RecordedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a plain copy of one file or directory loses."""

    inode: int | None = None
    uid: int = 0
    size: int | None = None
    """Of a file whose content is not recorded (a log)."""


class Instant(msgspec.Struct, frozen=True):
    """One instant on both clocks of the recorded host."""

    monotonic_ns: int
    time_ms: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of the whole host."""

    monotonic_ns: int
    time_ms: int
    files: dict[str, RecordedFile] = {}
    clocks: dict[str, Instant] = {}


class Index(msgspec.Struct, frozen=True):
    """index.json."""

    format: int
    host: dict[str, str | int]
    readings: dict[str, Reading]
    left_out: list[str] = []
    """What could not be recorded: a sentence each, the path first."""


class _Format(msgspec.Struct, frozen=True):
    """What every format has."""

    format: int


def index_key(path: str) -> str:
    """A path as the index spells it: always text, since cgroup names may be any bytes."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class NotRecorded(Exception):
    """The directory has an index that cannot be used; the text names the file and what is wrong."""


def load_index(directory: str) -> Index | None:
    """The index of a recorded tree; None: the directory has none. Raises NotRecorded."""
    path = f"{directory}/{INDEX}"
    try:
        with open(path, "rb") as file:
            data = file.read()
        version = msgspec.json.decode(data, type=_Format).format
        if version != FORMAT:
            raise NotRecorded(f"{path}: format {version} was written by a newer version; this one reads {FORMAT}")
        return msgspec.json.decode(data, type=Index)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotRecorded(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NotRecorded(f"{path}: {error}") from error


class RecordedRoot(Root):
    """One reading of a recorded tree, answering inodes, owners and clocks from the index."""

    __slots__ = ("reading",)
    live = False

    def __init__(self, path: str, reading: Reading) -> None:
        super().__init__(path)
        self.reading = reading

    def identity(self, path: str, fd: int | None = None) -> Identity:
        """Inode and owner as on the recorded host; the files' own inode where none was recorded. Raises OSError."""
        found = super().identity(path, fd)
        recorded = self.reading.files.get(index_key(path))
        if recorded is None:
            return Identity(found.inode, 0)
        return Identity(found.inode if recorded.inode is None else recorded.inode, recorded.uid)

    def size(self, path: str, found: int) -> int:
        """As on the recorded host."""
        recorded = self.reading.files.get(index_key(path))
        return found if recorded is None or recorded.size is None else recorded.size

    def clock(self, path: str = "") -> Clock:
        """When the cgroup at ``path`` was read, else when the reading began."""
        at = self.reading.clocks.get(index_key(path), self.reading)
        return Clock(at.monotonic_ns, at.time_ms)


def open_roots(path: str) -> list[Root]:
    """The root or roots that a --host-root names: [live], [one reading], or [t0, t1] of a recorded tree.

    Raises NotRecorded.
    """
    path = os.path.abspath(path)
    index = load_index(path)
    if index is not None:
        names = [name for name in sorted(index.readings) if os.path.isdir(f"{path}/{name}")]
        if not names:
            raise NotRecorded(f"{path}/{INDEX}: none of its readings ({', '.join(sorted(index.readings))}) is there")
        return [RecordedRoot(f"{path}/{name}", index.readings[name]) for name in names]
    parent, name = os.path.split(path)
    index = load_index(parent)
    if index is not None and name in index.readings:
        return [RecordedRoot(path, index.readings[name])]
    return [Root(path)]
