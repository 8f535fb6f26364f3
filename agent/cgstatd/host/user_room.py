"""How much is known of each user's directories: a user can make any number, with paths of any length."""

from __future__ import annotations

USERS_BYTES = 4 << 20
"""Bytes of all that is known of one user's directories: some 5,000 of them, or 1,000 with the longest paths."""
_ENTRY_BYTES = 700
"""Bytes of what is known of one directory, beside its path."""


class Room:
    """Directories that are root's (uid 0) always have room."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}
        """uid -> bytes of what is known of its directories."""

    def has(self, uid: int, path: str) -> bool:
        """Whether one more directory of a user's may be known."""
        return not uid or self._taken.get(uid, 0) + len(path) + _ENTRY_BYTES <= USERS_BYTES

    def take(self, uid: int, path: str) -> None:
        """A directory is known now."""
        self._add(uid, len(path) + _ENTRY_BYTES)

    def give_back(self, uid: int, path: str) -> None:
        """It is known no more."""
        self._add(uid, -len(path) - _ENTRY_BYTES)

    def _add(self, uid: int, size: int) -> None:
        if uid:
            self._taken[uid] = self._taken.get(uid, 0) + size
            if not self._taken[uid]:
                del self._taken[uid]

    def clear(self) -> None:
        """Nothing is known any more."""
        self._taken.clear()
