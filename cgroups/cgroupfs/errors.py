"""What can go wrong when a kernel file is read, each with the place.

An absent value is not an error: see :mod:`cgroupfs.absent`.
"""

from __future__ import annotations


class CgroupError(Exception):
    """Base of everything this library raises."""


class ParseError(CgroupError):
    """A kernel file does not have the documented format.

    ``path`` is empty while a parser (which knows no paths) raises it and is filled in by the reader; ``line`` counts
    from 1, 0 when the file as a whole is meant.
    """

    def __init__(self, what: str, path: str = "", line: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.path = path
        self.line = line

    def __str__(self) -> str:
        place = self.path + (f":{self.line}" if self.line else "")
        return f"{place}: {self.what}" if place else self.what


class CgroupGone(CgroupError):
    """The cgroup (or process) was removed, or replaced by another at the same path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: gone")
        self.path = path


class NoCgroups(CgroupError):
    """No cgroup file system is mounted below the root: nothing can be measured."""
