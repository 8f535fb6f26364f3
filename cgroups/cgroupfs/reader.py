"""A set of fields -> the files that hold them, each opened and read once -> a record, and why what is missing is so.

Which files these are is decided once for each set and host (:class:`Plan`). A file that cannot be read or parsed costs
its own fields only; CgroupGone and Exhausted end the reading.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from .absent import Absent, Missing
from .controllers import FIELDS, field_files
from .errors import ParseError
from .fields import Field, Lacking, Parse, Rule, build, names
from .hierarchy import Version
from .kept import KeptFiles
from .pseudofs import KeptFile

R = TypeVar("R")
T = TypeVar("T")


class Reading(NamedTuple):
    """Fields by name. A field that is absent is None, and ``missing`` says why."""

    values: Mapping[str, Any]
    missing: tuple[Missing, ...]


class Selection(Generic[R]):
    """A set of fields, by name, and how they become a record."""

    __slots__ = ("controllers", "fields", "lean", "make")

    def __init__(
        self, make: Callable[[Sequence[Any], tuple[Missing, ...]], R], wanted: Iterable[str], lean: bool = False
    ) -> None:
        """``make``: of the values in this order, and what is missing. Raises KeyError for a name that is no field.

        ``lean``: files of which only fields are wanted that stand still (:attr:`Field.needs`) are not read; these, and
        fields that the host's interface does not have, are None without a reason then.
        """
        self.make = make
        self.lean = lean
        self.fields: tuple[Field, ...] = tuple(FIELDS[name] for name in wanted)
        self.controllers = tuple(dict.fromkeys(field.controller for field in self.fields))


@functools.cache
def select(*wanted: str, lean: bool = False) -> Selection[Reading]:
    """A set of fields that is read as they are; ``lean``: see :class:`Selection`."""
    return Selection(lambda values, missing: Reading(dict(zip(wanted, values, strict=True)), missing), wanted, lean)


def record(kind: type[R], prefix: str) -> Selection[R]:
    """The fields of one controller's record."""
    return Selection(lambda values, missing: build(kind, iter(values), missing=missing), names(kind, prefix))


class Contents(Protocol):
    """What files are read from: a directory, or files that are kept open."""

    path: str
    """The directory's real path."""

    def content(self, name: str) -> bytes | Absent:
        """One file. Raises CgroupGone, Exhausted."""

    def check(self) -> None:
        """Called if a file was not there. Raises CgroupGone if that is so because the cgroup is gone."""


class _Files:
    """:class:`~cgroupfs.fields.Files` of one reading."""

    __slots__ = ("_missing", "_read", "_source")

    def __init__(self, source: Contents, missing: list[Missing]) -> None:
        self._source, self._missing = source, missing
        self._read: dict[str, bytes | Absent] = {}

    def content(self, name: str) -> bytes | Absent:
        if name not in self._read:
            self._read[name] = self._source.content(name)
        return self._read[name]

    def value(self, name: str, parse: Callable[[bytes], T]) -> T:
        data = self.content(name)
        if isinstance(data, Absent):
            raise Lacking(name, data)
        try:
            return parse(data)
        except ParseError as error:
            raise Lacking(name, error.reason) from None

    def note(self, field: str, name: str, reason: Absent) -> None:
        self._missing.append(Missing(field, reason, f"{self._source.path}/{name}"))


class _Tree(NamedTuple):
    """The part of a set that one directory has; fields by their index in the set."""

    off: list[Missing]
    """All of them, where the tree does not have the cgroup."""
    files: dict[str, list[tuple[int, Parse]]]
    idle: dict[str, int]
    """Files that are read only where another field is a number."""
    rules: list[tuple[int, Rule, tuple[str, ...]]]
    never: list[tuple[int, Absent]]
    """Fields that this interface version does not have, and the reason of each."""


class Plan(Generic[R]):
    """How one set is read where each controller is in a given tree with a given interface version."""

    __slots__ = ("_names", "_parts", "_selection", "trees")

    def __init__(self, selection: Selection[R], where: Callable[[str], tuple[str, Version]]) -> None:
        """``where``: controller -> its tree (any name for it) and the version of its files."""
        self._selection = selection
        self._names: list[tuple[str, str]] = []
        """Of each field its name and its file."""
        parts: dict[str, _Tree] = {}
        for index, field in enumerate(selection.fields):
            tree, version = where(field.controller)
            part = parts.setdefault(tree, _Tree([], {}, {}, [], []))
            place = field.place(version)
            name = field.source(version)
            part.off.append(Missing(field.name, Absent.CONTROLLER_OFF, name))
            self._names.append((field.name, name))
            if place is None:
                if not selection.lean:
                    known = name in field_files(version)
                    part.never.append((index, Absent.KEY_ABSENT if known else Absent.FILE_ABSENT))
            elif place.rule is not None:
                part.rules.append((index, place.rule, (place.file, *place.others)))
            elif place.parse is not None:
                part.files.setdefault(name, []).append((index, place.parse))
        if selection.lean:
            order = [field.name for field in selection.fields]
            for part in parts.values():
                for name, wanted in part.files.items():
                    needs = {selection.fields[index].needs for index, _ in wanted}
                    if len(needs) == 1 and (need := needs.pop()) in order:
                        part.idle[name] = order.index(need)
                for name in part.idle:  # after what they need
                    part.files[name] = part.files.pop(name)
        self.trees = tuple(parts)
        """The trees that are asked, in the order of :meth:`read`."""
        self._parts = tuple(parts.values())

    def read(self, sources: Sequence[Contents | None], only: str = "") -> R:
        """One reading; a source is None where its controller has no such cgroup. Raises CgroupGone, Exhausted.

        ``only``: the tree that is read; fields of others are None without a reason.
        """
        values: list[Any] = [None] * len(self._names)
        missing: list[Missing] = []
        for tree, part, source in zip(self.trees, self._parts, sources, strict=True):
            if only and tree != only:
                continue
            if source is None:
                missing += part.off
            else:
                self._read(part, source, values, missing)
        return self._selection.make(values, tuple(missing))

    def _read(self, part: _Tree, source: Contents, values: list[Any], missing: list[Missing]) -> None:
        files = _Files(source, missing) if part.rules else None
        content = source.content if files is None else files.content
        before = len(missing)
        for name, wanted in part.files.items():
            if name in part.idle and not isinstance(values[part.idle[name]], int):
                continue
            data = content(name)
            if isinstance(data, Absent):
                missing += [self._lack(index, source.path, data) for index, _ in wanted]
                continue
            for index, parse in wanted:
                try:
                    value = values[index] = parse(data)
                except ParseError as error:
                    missing.append(self._lack(index, source.path, error.reason))
                else:
                    if value is None:
                        missing.append(self._lack(index, source.path, Absent.KEY_ABSENT))
        for index, rule, _ in part.rules:
            try:
                values[index] = rule(files)  # type: ignore[arg-type]  # there are some where there are rules
            except Lacking as lacking:
                missing.append(Missing(self._names[index][0], lacking.reason, f"{source.path}/{lacking.name}"))
        if len(missing) > before and any(each.reason is Absent.FILE_ABSENT for each in missing[before:]):
            source.check()
        missing += [self._lack(index, source.path, reason) for index, reason in part.never]

    def plainly(self, kept: Sequence[KeptFiles | None]) -> list[tuple[int, KeptFile, Parse]]:
        """Where each field is one file of its own that stays open: index, file, parser. Empty: it is not so."""
        found = []
        for part, files in zip(self._parts, kept, strict=True):
            if files is None or part.rules or part.never or part.idle:
                return []
            for name, wanted in part.files.items():
                file = files.kept(name)
                if file is None or len(wanted) > 1:
                    return []
                found.append((wanted[0][0], file, wanted[0][1]))
        return found

    def read_plainly(self, files: Sequence[tuple[int, KeptFile, Parse]]) -> R | None:
        """As :meth:`read`, of :meth:`plainly`; None: something is missing. Raises CgroupGone, OSError, ParseError."""
        values: list[Any] = [None] * len(self._names)
        for index, file, parse in files:
            values[index] = parse(file.read())
        return None if None in values else self._selection.make(values, ())

    def files(self, tree: str) -> list[str]:
        """The files that are read in one of the trees."""
        part = self._parts[self.trees.index(tree)]
        return list(dict.fromkeys([*part.files, *(name for _, _, names in part.rules for name in names)]))

    def _lack(self, index: int, where: str, reason: Absent) -> Missing:
        field, name = self._names[index]
        return Missing(field, reason, f"{where}/{name}")
