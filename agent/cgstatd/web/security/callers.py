"""Whose request it is: of a token or its cookie, of a client certificate, of both where both are configured, or of any
client.

The decision is made again for as long as the stream that it opened is open (`still`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from ...auth import sessions
from ...auth.failures import MAX_FAILURES, Failures
from ...auth.keyring import Keyring
from ...auth.sessions import Sessions
from ...auth.tokens import PERMISSIONS, Token
from ...basics.once_in_a_while import OnceInAWhile
from ...basics.text import lower
from ..server.failure import failure
from ..server.peer import Peer
from .cookie import cookie_of

log = logging.getLogger(__name__)
HAWSER_HEADER = "X-Hawser-Token"
"""The header in which a Dockhand server sends an agent's token."""
_REPAIR_SECONDS = 1
_STREAMS_WAIT_SECONDS = 3.0
"""How long streams go on while the tokens file cannot be used; then they end, as their tokens may be revoked."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as the log names it, and what it may do."""

    name: str
    allow: Sequence[str]
    token: Token | None = None
    session: str = ""
    """The key of the session that stands for the token."""

    def lacks(self, permission: str, env: int | None) -> str:
        """Why the client may not do something in an environment (None: one that has no number); empty: it may."""
        if not permission:
            return ""
        if permission not in self.allow:
            return f"{self.name} does not hold {permission}"
        if self.token is None or self.token.holds(env):
            return ""
        wanted = "an environment that is not a number" if env is None else f"environment {env}"
        return f"{self.name} is for environment {self.token.environments}; this is {wanted}"


ANY_CLIENT = Caller("", PERMISSIONS)


class Callers:
    """Tells which client asks. Every kind of credentials that is configured is demanded."""

    def __init__(self, keyring: Keyring | None, *, certificates: bool, names: Sequence[str], required: bool) -> None:
        self.keyring = keyring
        self.failures = Failures()
        self.sessions = Sessions()
        self._certificates = certificates
        self._names: frozenset[str] = frozenset(map(lower, names))
        self._required = required
        self._once_in_a_while = OnceInAWhile()

    @property
    def required(self) -> bool:
        """Whether credentials are demanded. From the moment there are tokens they are, on loopback too."""
        return self._required or self._certificates or self.wants_token

    @property
    def wants_token(self) -> bool:
        """Whether a token is demanded."""
        if self.keyring is None:
            return self._required and not self._certificates
        self.keyring.refresh()
        return self.keyring.present or (self._required and not self._certificates)

    def admit(self, names: Sequence[str]) -> bool:
        """Client certificates of these names from now on; whether that is a change."""
        before, self._names = self._names, frozenset(map(lower, names))
        return self._names != before

    def identify(
        self, request: web.Request, peer: Peer, *, count: bool = True, hawser: bool = False
    ) -> Caller | web.Response:
        """Who it is, or the answer that refuses. ``count`` a failure, or only look; ``hawser``: a token may come in
        `HAWSER_HEADER`, too."""
        if not peer.admitted():
            return _connect_again()
        caller = self._by_certificate(peer)
        if caller is None:
            if self._once_in_a_while.due(peer.key):
                shown = ",".join(peer.names)[:200].encode("ascii", "backslashreplace").decode()
                log.warning("denied address=%s certificate=%s: not in tls_client_names", peer.key, shown or "none")
            return failure(403, "Permission denied", "this client certificate is not admitted")
        return self._by_token(request, peer, count, hawser) if self.wants_token else caller

    def still(self, caller: Caller | None, peer: Peer, permission: str, env: int) -> bool:
        """Whether the client of an open stream (None: without credentials) would be let in now."""
        if not self.required:
            return True
        if not peer.admitted() or self._by_certificate(peer) is None:
            return False
        if not self.wants_token or self.keyring is None:
            return not self.wants_token
        if self.keyring.problem:
            return self.keyring.broken_seconds < _STREAMS_WAIT_SECONDS
        if caller is None or caller.token is None:
            return False
        now = self._of_session(caller.session) if caller.session else self._of_token(caller.token.sha256)
        return now is not None and not now.lacks(permission, env)

    def exchange(self, secret: str, peer: Peer) -> Token | web.Response:
        """The token that a client logs in with, or the answer that refuses."""
        token = self.keyring.find(secret) if self.keyring is not None else None
        if token is not None:
            return token
        return self._unknown(secret, peer, "the password is no token of this agent", count=True)

    # -- who it is

    def _by_certificate(self, peer: Peer) -> Caller | None:
        """None: a certificate is demanded, and this is not an admitted one."""
        if not self._certificates or peer.unix:  # a unix socket has its file's permissions
            return ANY_CLIENT
        known = peer.names if not self._names else [name for name in peer.names if name in self._names]
        return Caller(f"certificate {known[0]}", PERMISSIONS) if known else None

    def _by_token(self, request: web.Request, peer: Peer, count: bool, hawser: bool) -> Caller | web.Response:
        header = request.headers.get("Authorization")
        if header is None and hawser and HAWSER_HEADER in request.headers:
            header = f"Bearer {request.headers[HAWSER_HEADER]}"
        cookie = cookie_of(request) if header is None else ""
        if header is None and not cookie:
            return self._refuse(peer, "no token", "this agent wants a token: Authorization: Bearer …", count)
        scheme, _, secret = (header or "").partition(" ")
        secret = secret.strip(" ")
        caller = None
        if cookie:
            caller = self._of_session(sessions.key_of(cookie))
        elif lower(scheme) == "bearer" and secret and self.keyring is not None:
            token = self.keyring.find(secret)
            caller = None if token is None else _caller(token)
        return caller or self._unknown(secret, peer, "this token is not known here", count)

    def _of_token(self, sha256: str) -> Caller | None:
        token = self.keyring.by_digest(sha256) if self.keyring is not None else None
        return None if token is None else _caller(token)

    def _of_session(self, key: str) -> Caller | None:
        session = self.sessions.find(key)
        found = None if session is None else self._of_token(session.sha256)
        if session is None or found is None or found.token is None or found.token.created != session.created:
            return None
        return Caller(found.name, found.allow, found.token, key)

    # -- refusing

    def _unknown(self, secret: str, peer: Peer, message: str, count: bool) -> web.Response:
        keyring = self.keyring
        if keyring is not None and keyring.problem:  # it may well be a good one: not the client's failure
            return failure(
                503, "Tokens cannot be checked", "the agent's log says why", Retry_After=str(_REPAIR_SECONDS)
            )
        revoked = keyring.revoked_name(secret) if keyring is not None else ""
        return self._refuse(peer, f"token={revoked} revoked" if revoked else "unknown token", message, count)

    def _refuse(self, peer: Peer, reason: str, message: str, count: bool) -> web.Response:
        if not count:
            return failure(401, "Unauthorized", message)
        failures, wait = self.failures.add(peer.key)
        if failures == 1:
            log.warning("refused address=%s reason=%s", peer.key, reason)
        if failures <= MAX_FAILURES:
            return failure(401, "Unauthorized", message, WWW_Authenticate="Bearer")
        if failures == MAX_FAILURES + 1:
            log.warning("refused address=%s %d times: answering 429 for %.0f s", peer.key, MAX_FAILURES, wait)
        seconds = math.ceil(wait)
        return failure(429, "Too many failures", f"wait {seconds} seconds", Retry_After=str(seconds))


def _connect_again() -> web.Response:
    """Its authority may well be one of those that stayed: the next handshake tells."""
    response = failure(503, "Authorities have changed", "connect again", Retry_After=str(_REPAIR_SECONDS))
    response.force_close()
    return response


def _caller(token: Token) -> Caller:
    return Caller(token.name, token.allow, token)
