"""The sources of unprivileged users' names: each user's, for as long as the user has containers.

A host may have thousands of users who run a container once (a login host, a build server), and each one's places are
looked at once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .runtimes.base import MetadataSource

IDLE_SECONDS = 600.0
"""If no container of a user was asked for in this time, its sources are asked whether they have any on disk. It is
twice as long as the listing waits before it asks again for the name of a container that runs."""


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

    def forget(self) -> None:
        """Drop the users whose containers are all gone: none of theirs was asked for lately, and none is on disk."""
        now = self._clock()
        for uid, user in list(self._users.items()):
            if now - user.asked_seconds < IDLE_SECONDS:
                continue
            if any(_has_any(source) for source in user.sources):
                self._users[uid] = user._replace(asked_seconds=now)
            else:
                self._users.pop(uid, None)


def _has_any(source: MetadataSource) -> bool:
    found: Iterator[object] = iter(source.all())
    return next(found, None) is not None
