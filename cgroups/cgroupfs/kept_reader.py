"""A set of fields that is read again and again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from .errors import ParseError
from .kept import Descriptors, KeptFiles
from .pseudofs import Directory
from .reader import Plan

R = TypeVar("R")


class KeptReader(Generic[R]):
    """A set of one cgroup, read again and again from files that stay open. Owns only the files' descriptors."""

    __slots__ = ("_kept", "_plain", "_plan")

    def __init__(self, plan: Plan[R], directories: Mapping[str, Directory | None], descriptors: Descriptors) -> None:
        """The plan's trees are controllers. Raises CgroupGone, Exhausted; nothing stays open then."""
        self._plan = plan
        self._kept: list[KeptFiles | None] = []
        try:
            for controller in plan.trees:
                directory = directories[controller]
                self._kept.append(KeptFiles(directory, plan.files(controller), descriptors) if directory else None)
        except BaseException:
            self.close()
            raise
        self._plain = plan.plainly(self._kept)

    def read(self, controller: str = "") -> R:
        """One reading; of one controller alone where that is given. Raises CgroupGone, Exhausted."""
        if self._plain and not controller:
            with suppress(OSError, ParseError):  # read again, to tell which file it is and what the others say
                found = self._plan.read_plainly(self._plain)
                if found is not None:
                    return found
        return self._plan.read(self._kept, controller)

    def close(self) -> None:
        """Release every descriptor; safe to call twice. What is read from then on is absent."""
        for kept in self._kept:
            if kept is not None:
                kept.close()
