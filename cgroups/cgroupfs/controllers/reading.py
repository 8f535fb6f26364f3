"""Collects the values of one record and, for each that is absent, why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..absent import Absent, Missing
from ..errors import ParseError
from ..formats import parse_flat_keyed
from ..pseudofs import Directory

T = TypeVar("T")


class Reading:
    """Values out of one cgroup's directory (None: the controller has no directory for this cgroup).

    A file that cannot be read or parsed costs its own values only: the field becomes None and ``missing`` says why.
    Only CgroupGone is raised.
    """

    __slots__ = ("_files", "directory", "missing")

    def __init__(self, directory: Directory | None) -> None:
        self.directory = directory
        self.missing: list[Missing] = []
        self._files: dict[str, dict[bytes, int] | Absent] = {}

    def lack(self, field: str, name: str, reason: Absent) -> None:
        """Note that a field is absent."""
        where = self.directory.path if self.directory else ""
        self.missing.append(Missing(field, reason, f"{where}/{name}" if where else name))

    def value(self, field: str, name: str, parse: Callable[[bytes], T]) -> T | None:
        """One file, one value."""
        data = Absent.CONTROLLER_OFF if self.directory is None else self.directory.read(name)
        if isinstance(data, Absent):
            self.lack(field, name, data)
            return None
        try:
            return parse(data)
        except ParseError:
            self.lack(field, name, Absent.MALFORMED)
            return None

    def key(self, field: str, name: str, key: bytes) -> int | None:
        """One key of a flat keyed file; the file is read once."""
        values = self._files.get(name)
        if values is None:
            values = self._files[name] = self._flat_keyed(name)
        if isinstance(values, Absent):
            self.lack(field, name, values)
            return None
        found = values.get(key)
        if found is None:
            self.lack(field, name, Absent.KEY_ABSENT)
        return found

    def _flat_keyed(self, name: str) -> dict[bytes, int] | Absent:
        data = Absent.CONTROLLER_OFF if self.directory is None else self.directory.read(name)
        if isinstance(data, Absent):
            return data
        try:
            return parse_flat_keyed(data).values
        except ParseError:
            return Absent.MALFORMED
