"""Whose request it is: a token, a client certificate, both where both are configured, or nobody in particular."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from ..ascii import lower
from ..auth.failures import MAX_FAILURES, Failures
from ..auth.keyring import Keyring
from ..auth.tokens import PERMISSIONS, Token
from ..seldom import Seldom
from .failure import failure
from .peer import UNIX, Peer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the log names them, and what they may."""

    name: str
    allow: Sequence[str]
    token: Token | None = None

    def may(self, permission: str, env: str | None, own: int) -> bool:
        """Whether they hold a permission for an environment (none given: the agent's own)."""
        if permission and permission not in self.allow:
            return False
        if self.token is None or not permission:
            return True
        return env in map(str, self.token.env) if env else own in self.token.env


ANYBODY = Caller("", PERMISSIONS)


class Callers:
    """Tells who asks. Each thing that is configured is demanded."""

    def __init__(self, keyring: Keyring | None, *, certificates: bool, names: Sequence[str], required: bool) -> None:
        self.keyring = keyring
        self.failures = Failures()
        self._certificates = certificates
        self._names: frozenset[str] = frozenset(map(lower, names))
        self._required = required
        self._seldom = Seldom()

    @property
    def required(self) -> bool:
        """Whether credentials are demanded. From the moment there are tokens they are, on loopback too."""
        return self._required or self._certificates or self._wants_token()

    def admit(self, names: Sequence[str]) -> bool:
        """Client certificates of these names from now on; whether that is a change."""
        before, self._names = self._names, frozenset(map(lower, names))
        return self._names != before

    def _wants_token(self) -> bool:
        if self.keyring is None:
            return self._required and not self._certificates
        self.keyring.refresh()
        return self.keyring.present or (self._required and not self._certificates)

    def identify(self, request: web.Request, peer: Peer, *, count: bool = True) -> Caller | web.Response:
        """Who it is, or the answer that refuses. ``count`` a failure, or only look."""
        caller = ANYBODY
        if self._certificates and peer.key != UNIX:  # a unix socket has its file's permissions
            known = peer.names if not self._names else [name for name in peer.names if name in self._names]
            if not known:
                if self._seldom.due(peer.key):
                    shown = ",".join(peer.names)[:200].encode("ascii", "backslashreplace").decode()
                    log.warning("denied address=%s certificate=%s: not in tls_client_names", peer.key, shown or "none")
                return failure(403, "Permission denied", "this client certificate is not admitted")
            caller = Caller(f"certificate {known[0]}", PERMISSIONS)
        return self._by_token(request, peer, count) if self._wants_token() else caller

    def _by_token(self, request: web.Request, peer: Peer, count: bool) -> Caller | web.Response:
        header = request.headers.get("Authorization")
        scheme, _, secret = (header or "").partition(" ")
        secret = secret.strip(" ")
        if lower(scheme) == "bearer" and secret and self.keyring is not None:
            token = self.keyring.find(secret)
            if token is not None:
                return Caller(token.name, token.allow, token)
        if header is None:
            return self._refuse(peer, "no token", "this agent wants a token: Authorization: Bearer …", count)
        revoked = self.keyring.revoked_name(secret) if self.keyring is not None else ""
        reason = f"token={revoked} revoked" if revoked else "unknown token"
        return self._refuse(peer, reason, "this token is not known here", count)

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
