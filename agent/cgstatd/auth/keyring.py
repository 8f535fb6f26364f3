"""The tokens as the running agent knows them: read again when the file changes, so that revoking needs no restart.

While a file that was there is broken, unreadable or gone, the agent accepts no token, and says so: the change may well
have been a revocation.
"""

from __future__ import annotations

import hmac
import logging
import os
import time
from collections.abc import Callable, Mapping

from ..basics.file_look import FileLook, is_same, look
from . import store
from .tokens import BadTokens, Token, digest

log = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
_BROKEN_SECONDS = 0.05
"""How often a file that cannot be used is looked at: it may be half written just now."""
_MAX_REMEMBERED = 256
_MAX_SECRET = 512


def default_path(environment: Mapping[str, str] = os.environ) -> str:
    """What systemd's LoadCredential= hands over, else the usual file."""
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and os.path.exists(f"{credentials}/tokens"):
        return f"{credentials}/tokens"
    return store.DEFAULT_TOKENS


class Keyring:
    """Looked at from the event loop: one stat a second at most, and a read of a small local file when it changed."""

    def __init__(
        self,
        path: str,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self.present = False
        """Whether there was ever a file: from then on every request needs a token."""
        self.problem = ""
        """Why the file cannot be used. Until it can, a token is neither good nor wrong."""
        self._problem_since = 0.0
        self._clock, self._wall_ns = clock, wall_ns
        self._checked = -CHECK_SECONDS
        self._seen: FileLook | None = None
        """The file that the tokens are from, or whose content cannot be used; None: read it in any case."""
        self._tokens: dict[str, Token] = {}
        self._revoked: dict[str, str] = {}
        """Digest -> name of tokens that were good: the log can say whose they were."""

    def __len__(self) -> int:
        self.refresh()
        return len(self._tokens)

    def find(self, secret: str) -> Token | None:
        """The token that a client sent, if it is one."""
        self.refresh()
        if len(secret) > _MAX_SECRET:
            return None
        wanted = digest(secret)
        token = self._tokens.get(wanted)
        return token if token is not None and hmac.compare_digest(token.sha256, wanted) else None

    def by_digest(self, sha256: str) -> Token | None:
        """The token of a digest, with the rights that it has now."""
        self.refresh()
        return self._tokens.get(sha256)

    @property
    def broken_seconds(self) -> float:
        """For how long the file could not be used; 0: it can."""
        return self._clock() - self._problem_since if self.problem else 0.0

    def revoked_name(self, secret: str) -> str:
        """Whose token this was; empty where it never was a token, as far as this process knows."""
        return self._revoked.get(digest(secret[:_MAX_SECRET]), "")

    def refresh(self, *, now: bool = False) -> None:
        """Read the file again if it changed; looked at once a second, or ``now``."""
        at = self._clock()
        if not now and at - self._checked < (min(_BROKEN_SECONDS, CHECK_SECONDS) if self.problem else CHECK_SECONDS):
            return
        self._checked = at
        try:
            found = look(os.stat(self.path), self._wall_ns())
            if is_same(self._seen, found):
                return
            tokens, self._seen = store.read(self.path, self._wall_ns)
        except FileNotFoundError:
            if self.present:
                self._fail(f"{self.path}: the file is gone")
            return
        except OSError as error:
            self._fail(f"{self.path}: {error.strerror}")
            return
        except BadTokens as error:
            self._fail(str(error))
            self._seen = found
            return
        if self.problem:
            log.info("tokens are accepted again: %s", self.path)
        self.present, self.problem = True, ""
        self._replace({token.sha256: token for token in tokens.tokens})

    def _fail(self, problem: str) -> None:
        self.present, self._seen = True, None
        if not self.problem:
            self._problem_since = self._checked
        if problem != self.problem:
            log.error("no token is accepted until this is repaired: %s", problem)
            self.problem = problem
        self._replace({})

    def _replace(self, tokens: dict[str, Token]) -> None:
        for sha256, token in self._tokens.items():
            if sha256 not in tokens:
                self._revoked[sha256] = token.name
        for sha256 in tokens:
            self._revoked.pop(sha256, None)
        while len(self._revoked) > _MAX_REMEMBERED:
            del self._revoked[next(iter(self._revoked))]
        self._tokens = tokens
