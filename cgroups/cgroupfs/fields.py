"""What a field is: one value of a cgroup, its unit, and where each interface version has it.

Each controller declares its fields once, in its module of :mod:`cgroupfs.controllers`. Everything that is read is a set
of them (:mod:`cgroupfs.reader`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

from .absent import Absent
from .hierarchy import Version

T = TypeVar("T")
Parse = Callable[[bytes], Any]
"""A file's content -> the value; None: the file does not have the key. Raises ParseError."""


class Lacking(Exception):
    """A file does not give a value; the reason. A rule may let it through: its field is then absent for that reason."""

    def __init__(self, name: str, reason: Absent) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason


class Files(Protocol):
    """The files of one controller's directory, as a rule sees them. Each is read once, when it is first asked for."""

    def value(self, name: str, parse: Callable[[bytes], T]) -> T:
        """One file, parsed. Raises Lacking, CgroupGone."""

    def note(self, field: str, name: str, reason: Absent) -> None:
        """Note that a field is absent, or that its value is not what it seems; the field that is being read keeps its
        value."""


Rule = Callable[[Files], Any]
"""A value that takes more than one file. Raises Lacking."""


class Place(NamedTuple):
    """Where one interface version has a field: a file and its parser, or a rule and the files that it may read."""

    file: str
    """The file that is named as the source."""
    parse: Parse | None
    rule: Rule | None = None
    others: tuple[str, ...] = ()
    """The files that the rule reads beside it."""


class Field(NamedTuple):
    """One value of a cgroup."""

    name: str
    """``controller.key``, ``memory.stat.anon``; kernel names where there is one."""
    unit: str
    """``bytes``, ``nanoseconds``, ``microseconds``; empty: a number, or a set of numbers."""
    controller: str
    """The controller whose tree has it (:data:`cgroupfs.hierarchy.CONTROLLERS`, or :data:`UNIFIED`)."""
    v1: Place | None
    """None: this version does not have it."""
    v2: Place | None
    needs: str = ""
    """If that field is no number, this one stands still (no quota, no throttling)."""
    idles: bool = False
    """Whether it stands still while CPU time and memory in use do: nothing has run in the cgroup then."""

    def place(self, version: Version) -> Place | None:
        """Where this version has it."""
        return self.v1 if version is Version.V1 else self.v2

    def source(self, version: Version) -> str:
        """The file that has it, or that would have it where this version does not."""
        place = self.place(version) or self.v1 or self.v2
        return place.file if place else ""


UNIFIED = "unified"
"""In place of a controller: the file is in the v2 tree, whatever controllers that tree has (pressure)."""


def file(name: str, parse: Parse) -> Place:
    """One file, one parser."""
    return Place(name, parse)


def rule(name: str, found: Rule, *others: str) -> Place:
    """A value that ``found`` makes of several files; ``name`` is the one that is shown as its source."""
    return Place(name, None, found, others)


def declare(
    controller: str,
    unit: str = "",
    *,
    v1: Place | None = None,
    v2: Place | None = None,
    needs: str = "",
    idles: bool = False,
) -> Any:
    """A field that is declared where its record has the attribute, whose name it takes."""
    return dataclasses.field(default=None, metadata={"places": (unit, controller, v1, v2, needs, idles)})


def both(controller: str, unit: str, place: Place, needs: str = "", idles: bool = False) -> Any:
    """As :func:`declare`, of a field that both versions have in the same file."""
    return declare(controller, unit, v1=place, v2=place, needs=needs, idles=idles)


def declared(record: type, prefix: str) -> Iterator[Field]:
    """The fields that a record's class declares."""
    for each in dataclasses.fields(record):
        if "places" in each.metadata:
            yield Field(f"{prefix}.{each.name}", *each.metadata["places"])


def part(record: type) -> Any:
    """An attribute that is a record itself, of fields of the same controller."""
    return dataclasses.field(default_factory=record, metadata={"part": record})


def names(record: type, prefix: str) -> Iterator[str]:
    """The names of the fields that a record is made of, in the order of its attributes."""
    for each in dataclasses.fields(record):
        if "part" in each.metadata:
            yield from names(each.metadata["part"], f"{prefix}.{each.name}")
        elif each.name != "missing":
            yield f"{prefix}.{each.name}"


def build(record: type[T], values: Iterator[Any], **more: Any) -> T:
    """The record of values that come in the order of :func:`names`."""
    for each in dataclasses.fields(record):  # type: ignore[arg-type]  # a dataclass
        if "part" in each.metadata:
            more[each.name] = build(each.metadata["part"], values)
        elif each.name != "missing":
            more[each.name] = next(values)
    return record(**more)
