"""What comes before every answer, in this order: the Host, a preflight, 400, 401 or 429, 403; then the route's own.

On the way of every request: one look at the Host header, one SHA-256, two looks into dicts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import HttpVersion10, web

from ..auth.keyring import CHECK_SECONDS
from ..seldom import Seldom
from . import health
from . import peer as peers
from .callers import Caller, Callers
from .context import CONTEXT, valid_container_id
from .failure import failure
from .limits import RETRY_SECONDS, Limits, Streams
from .origin import Hosts, Origins
from .permissions import Rule, rule_of

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def nobody_asked() -> Callers:
    """No credentials at all: what is right for a private listener without tokens."""
    return Callers(None, certificates=False, names=(), required=False)


class Guard:
    """One per application."""

    def __init__(
        self,
        callers: Callers | None = None,
        *,
        hosts: Hosts | None = None,
        origins: Origins | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.callers = callers or nobody_asked()
        self.hosts = hosts or Hosts()
        self.origins = origins or Origins()
        self.streams = Streams(limits or Limits())
        self._watch: asyncio.TimerHandle | None = None
        self._seldom = Seldom()

    def install(self, app: web.Application) -> None:
        """The signals that go with the middleware."""
        app.on_response_prepare.append(self._mark_origin)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The checks, then the route."""
        peer = peers.of_request(request)
        refusal = self._not_a_request_of_ours(request, peer)
        if refusal is not None:
            return refusal
        rule = rule_of(request)
        if not self.callers.required:
            return await self._answer(request, handler, rule, None, peer.key)
        caller = self.callers.identify(request, peer, count=rule is None or not rule.open)
        if isinstance(caller, web.Response):
            if rule is None or not rule.open:
                return caller
            response = await handler(request)
            return _status_alone(response) if rule.brief else response
        own = request.app[CONTEXT].env_id
        if rule is None or not caller.may(rule.permission, request.query.get("env"), own):
            self._log_denied(request, caller, rule)
            return failure(403, "Permission denied")
        return await self._answer(request, handler, rule, caller, caller.name)

    def _not_a_request_of_ours(self, request: web.Request, peer: peers.Peer) -> web.Response | None:
        headers = request.headers
        if request.version < HttpVersion10:  # without headers: no Host to look at
            return failure(400, "Bad request")
        if peer.loopback and not self.hosts.allow(headers.get("Host")):
            return failure(403, "Host not allowed", "the agent answers to localhost and to the names in allowed_hosts")
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in headers:
            if not self.origins.allow(headers.get("Origin")):
                return failure(403, "Origin not allowed", "only origins in allowed_origins may read this agent")
            return web.Response(status=204, headers=Origins.preflight())
        if request.body_exists and request.method in ("GET", "HEAD"):
            response = failure(413, "Request body not allowed")
            response.force_close()
            return response
        wanted = request.match_info.get("id")
        if wanted is not None and not valid_container_id(wanted):
            return failure(400, "Invalid container ID")
        return None

    async def _answer(
        self, request: web.Request, handler: Handler, rule: Rule | None, caller: Caller | None, client: str
    ) -> web.StreamResponse:
        if rule is None or not rule.stream:
            return await handler(request)
        token = None if caller is None else caller.token
        stream = self.streams.enter(client, request.transport, token)
        if stream is None:
            if self._seldom.due(f"streams {client}"):
                log.warning("client=%s too many streams: open=%d", client, len(self.streams))
            return failure(503, "Too many streams", Retry_After=str(RETRY_SECONDS))
        if token is not None and self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._cut_revoked)
        try:
            return await handler(request)
        finally:
            self.streams.leave(stream)

    def _cut_revoked(self) -> None:
        """A stream that stays open ends with the token that opened it. Runs only while there are such streams."""
        self._watch = None
        keyring, streams = self.callers.keyring, self.streams.with_tokens()
        if keyring is None or not streams:
            return
        for stream in streams:
            if stream.token is not None and not keyring.holds(stream.token):
                log.info("client=%s stream cut: the token was revoked", stream.client)
                with suppress(AttributeError):
                    stream.transport.abort()  # type: ignore[union-attr]
        self._watch = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._cut_revoked)

    def _log_denied(self, request: web.Request, caller: Caller, rule: Rule | None) -> None:
        if not self._seldom.due(f"denied {caller.name}"):
            return
        env = str(request.query.get("env", ""))[:20].encode("ascii", "backslashreplace").decode()
        wanted = "a route without a rule" if rule is None else rule.permission
        log.warning("denied client=%s env=%s wanted=%s", caller.name, env or "own", wanted)

    async def _mark_origin(self, request: web.Request, response: web.StreamResponse) -> None:
        if self.origins:  # a reload may allow some
            self.origins.mark(request.headers.get("Origin"), response.headers)


def _status_alone(response: web.StreamResponse) -> web.Response:
    if response.status == 200:
        return web.Response(body=health.BODY, content_type="application/json")
    return failure(response.status, "Unavailable", Retry_After=str(RETRY_SECONDS))
