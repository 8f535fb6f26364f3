"""The errors of reading a kernel file, each with its place.

An absent value is not an error: see :mod:`cgroupfs.absent`.
"""

from __future__ import annotations

from .absent import Absent


class CgroupError(Exception):
    """Base of everything this library raises."""


class ParseError(CgroupError):
    """A kernel file does not have the documented format.

    ``path`` is empty while a parser (which knows no paths) raises it and is filled in by the reader; ``line`` counts
    from 1, 0 when the file as a whole is meant.
    """

    def __init__(self, what: str, path: str = "", line: int = 0, reason: Absent = Absent.MALFORMED) -> None:
        super().__init__(what)
        self.what = what
        self.reason = reason
        """The reason for the value that the file would have given."""
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


class Exhausted(CgroupError):
    """The reader itself has no descriptor or memory left (EMFILE, ENFILE, ENOMEM). It says nothing of the cgroup.

    Neither an OSError nor a CgroupGone: code that takes those for the trouble of one file or cgroup lets this one
    through.
    """

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(f"cannot read {path}: {why}" if path else why)
        self.why = why


class NoCgroups(CgroupError):
    """No cgroup file system is mounted below the root: nothing can be measured."""
