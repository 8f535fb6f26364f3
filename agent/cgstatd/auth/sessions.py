"""Sessions: a client that logs in with a token gets a cookie of the same rights instead.

A session is a reference to a token and no right of its own. Each request looks the token up, so that a revocation, a
rotation or a reduction counts at once. Sessions are in memory alone: after a restart clients log in again.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from .tokens import Token, digest

SECONDS = 86_400
"""Dockhand's own; its clients log in anew before."""
MAX_SESSIONS = 1024
MAX_PER_TOKEN = 32
"""The oldest session of the same token gives way: a client with one token cannot end the sessions of another."""
_VALUE_LENGTH = 43


class Session(NamedTuple):
    """``sha256`` and ``created``: of the token. If it was revoked and then made known again, it is another token."""

    sha256: str
    created: datetime
    ends: float


class Sessions:
    """By the digest of the cookie's value, in the order in which they were opened and will end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, token: Token) -> str:
        """A new session of a token; the cookie's value, which is kept nowhere."""
        now = self._clock()
        for key in [key for key, session in self._open.items() if session.ends <= now]:
            del self._open[key]
        own = [key for key, session in self._open.items() if session.sha256 == token.sha256]
        for key in own[: max(0, len(own) + 1 - MAX_PER_TOKEN)]:
            del self._open[key]
        while len(self._open) >= MAX_SESSIONS:
            self._open.popitem(last=False)
        value = secrets.token_urlsafe(32)
        self._open[digest(value)] = Session(token.sha256, token.created, now + SECONDS)
        return value

    def find(self, key: str) -> Session | None:
        """The session of a value's digest, if it has not ended."""
        session = self._open.get(key)
        return session if session is not None and self._clock() < session.ends else None

    def close(self, key: str) -> None:
        """End it, if there is one."""
        self._open.pop(key, None)


def key_of(value: str) -> str:
    """The key by which a cookie's value is looked up; empty for a value that cannot be a session's."""
    return digest(value) if len(value) == _VALUE_LENGTH else ""
