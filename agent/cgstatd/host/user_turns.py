"""What users' directories cost a listing: so much of each user's is looked at, and the rest has its turn in the next.

Cgroups cost their maker little: a user could have thousands of directories listed anew in every pass. What is put off
is late for that user alone.
"""

from __future__ import annotations

from collections.abc import Iterable

ENTRIES = 16
"""So many entries of a directory cost as much as to open it."""
FOLLOWING = 2
"""What it costs to follow a new directory, beside looking into it."""


class Turns:
    """One refresh after the other. Not thread-safe."""

    __slots__ = ("_put_off", "_spent")

    def __init__(self) -> None:
        self._put_off: dict[str, None] = {}
        """Directories, in the order in which they have their turn."""
        self._spent: dict[int, int] = {}
        """uid -> looks in this refresh."""

    def begin(self, due: Iterable[str]) -> list[str]:
        """The directories of a new refresh in their order: first those that were put off, then parents before
        children."""
        first, self._put_off = self._put_off, {}
        self._spent.clear()
        return [*first, *(path for path in sorted(due) if path not in first)]

    def has(self, uid: int, looks: int) -> bool:
        """Whether a user has spent less than so many looks in this refresh; root always has."""
        return not uid or self._spent.get(uid, 0) < looks

    def spend(self, uid: int, looks: int) -> None:
        """Note what something cost."""
        if uid:
            self._spent[uid] = self._spent.get(uid, 0) + looks

    def put_off(self, path: str) -> None:
        """The directory has its turn in the next refresh."""
        self._put_off[path] = None

    def forget(self) -> None:
        """Put nothing off any more."""
        self._put_off.clear()
