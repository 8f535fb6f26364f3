"""The sources of unprivileged users' names: each user's, for as long as the user has containers.

A host may have thousands of users who run a container once (a login host, a build server). The places of a hundred are
looked at in a second, one hundred after the other: a look costs 2 us, and each user has eight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .runtimes.base import MetadataSource

IDLE_SECONDS = 600.0
"""If no container of a user was asked for in this time, its sources are asked whether they have any on disk. It is
twice as long as the listing waits before it asks again for the name of a container that runs."""


LOOKED_AT = 100
"""Users whose places are looked at in a second."""


class _User(NamedTuple):
    sources: Sequence[MetadataSource]
    asked_seconds: float
    """CLOCK_MONOTONIC."""


class Users:
    """Used by the listing, of which two threads may be at different containers."""

    def __init__(
        self, rootless: Callable[[int], Sequence[MetadataSource]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``rootless`` makes the sources of one uid."""
        self._rootless = rootless
        self._clock = clock
        self._users: dict[int, _User] = {}
        self._next = 0

    def __contains__(self, uid: int) -> bool:
        return uid in self._users

    def sources(self, uid: int) -> Sequence[MetadataSource]:
        """The sources of one user, of whom a container was seen."""
        known = self._users.get(uid)
        sources = self._rootless(uid) if known is None else known.sources
        if sources:  # none: no home is known, or not now (/etc/passwd hangs, or is another thread's turn)
            self._users[uid] = _User(sources, self._clock())
        return sources

    def all(self) -> list[MetadataSource]:
        """The sources of all users that are known."""
        return [source for user in list(self._users.values()) for source in user.sources]

    def next(self) -> list[MetadataSource]:
        """The sources of those users whose turn it is; of all where they are few."""
        users = list(self._users.values())
        first = self._next if self._next < len(users) else 0
        self._next = first + LOOKED_AT
        return [source for user in users[first : self._next] for source in user.sources]

    def forget(self) -> list[MetadataSource]:
        """Drop the users whose containers are all gone: none of theirs was asked for lately, and none is on disk. What
        were their sources."""
        now, gone = self._clock(), list[MetadataSource]()
        for uid, user in list(self._users.items()):
            if now - user.asked_seconds < IDLE_SECONDS:
                continue
            if any(_has_any(source) for source in user.sources):
                self._users[uid] = user._replace(asked_seconds=now)
            elif self._users.pop(uid, None) is not None:
                gone.extend(user.sources)
        return gone


def _has_any(source: MetadataSource) -> bool:
    found: Iterator[object] = iter(source.all())
    return next(found, None) is not None
