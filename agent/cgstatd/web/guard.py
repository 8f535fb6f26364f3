"""What comes before every answer, in this order: the Host, a preflight, a page of another site, 400, 401 or 429, 403,
404 for the environment.

The price for each request: one look at the Host header and at Sec-Fetch-Site, one SHA-256, two looks into dicts.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import cast

from aiohttp import HttpVersion10, web

from ..auth.keyring import CHECK_SECONDS
from ..basics.once_in_a_while import OnceInAWhile
from .routes import health
from .routes.checks import environment_asked, valid_container_id
from .routes.table import Handler, Route, route_of
from .security.callers import Caller, Callers
from .security.origin import Hosts, Origins
from .server.failure import failure
from .server.handler import Handler as Connection
from .server.limits import RETRY_SECONDS, Limits, Streams
from .server.peer import Peer

log = logging.getLogger(__name__)


def no_credentials() -> Callers:
    """Asks no client for credentials: right for a private listener without tokens."""
    return Callers(None, certificates=False, names=(), required=False)


class Guard:
    """One per application."""

    def __init__(
        self,
        env_id: int,
        callers: Callers | None = None,
        *,
        hosts: Hosts | None = None,
        origins: Origins | None = None,
        limits: Limits | None = None,
    ) -> None:
        """``env_id``: the environment that the agent is."""
        self._env = env_id
        self.callers = callers or no_credentials()
        self.hosts = hosts or Hosts()
        self.origins = origins or Origins()
        self.streams = Streams(limits or Limits())
        self._watch: asyncio.TimerHandle | None = None
        self._once_in_a_while = OnceInAWhile()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The checks, then the route, at the client's cost."""
        connection = cast(Connection, request.protocol)
        return await connection.charged(self._checked(request, handler, connection.peer))

    async def _checked(self, request: web.Request, handler: Handler, peer: Peer) -> web.StreamResponse:
        refusal = self._not_a_request_of_ours(request, peer)
        if refusal is not None:
            return refusal
        route = route_of(request)
        if route is None:
            log.error("a route that is not in the table: %s", request.match_info.route)
            return failure(403, "Permission denied")
        asked = environment_asked(request.match_info, request.query, self._env)
        caller: Caller | None = None
        if self.callers.required:
            found = self.callers.identify(request, peer, count=not route.open, hawser=route.engine)
            if isinstance(found, web.Response):
                if not route.open:
                    return found
                response = await handler(request)
                return _status_alone(response) if route.brief else response
            caller = found
            lacking = caller.lacks(route.permission, asked)
            if lacking:
                self._log_denied(caller, route, asked)
                return failure(403, "Permission denied", lacking)
        if route.permission and asked != self._env:
            handler = route.elsewhere
        return await self._answer(request, handler, route, caller, peer)

    def _not_a_request_of_ours(self, request: web.Request, peer: Peer) -> web.Response | None:
        headers = request.headers
        if request.version < HttpVersion10:  # without headers: no Host to look at
            return failure(400, "Bad request")
        if peer.loopback and not self.hosts.allow(headers.get("Host")):
            return failure(403, "Host not allowed", "the agent answers to localhost and to the names in allowed_hosts")
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in headers:
            if not self.origins.allow(headers.get("Origin")):
                return failure(403, "Origin not allowed", "only origins in allowed_origins may read this agent")
            return web.Response(status=204, headers=Origins.preflight())
        if not self.origins.sends(headers):
            return failure(403, "Origin not allowed", "only origins in allowed_origins may read this agent")
        exists = request.match_info.http_exception is None
        if exists and request.body_exists and request.method in ("GET", "HEAD"):
            response = failure(413, "Request body not allowed")
            response.force_close()
            return response
        wanted = request.match_info.get("id")
        if wanted is not None and not valid_container_id(wanted):
            return failure(400, "Invalid container ID")
        return None

    async def _answer(
        self, request: web.Request, handler: Handler, route: Route, caller: Caller | None, peer: Peer
    ) -> web.StreamResponse:
        if not route.stream or (route.streamed is not None and not route.streamed(request)):
            return await handler(request)
        client = peer.key if caller is None else caller.name
        still = partial(self.callers.still, caller, peer, route.permission, self._env)
        stream = self.streams.enter(client, request.transport, still)
        if stream is None:
            if self._once_in_a_while.due(f"streams {client}"):
                log.warning("client=%s too many streams: open=%d", client, len(self.streams))
            return failure(503, "Too many streams", Retry_After=str(RETRY_SECONDS))
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look_again)
        try:
            return await handler(request)
        finally:
            self.streams.leave(stream)

    def _look_again(self) -> None:
        """A stream ends when it would no longer be opened: it is judged again and again while it is open."""
        self._watch = None
        if not len(self.streams):
            return
        for stream in self.streams.ended():
            log.info("client=%s stream cut: it would not be let in any more", stream.client)
            stream.cut()
        self._watch = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look_again)

    def _log_denied(self, caller: Caller, route: Route, asked: int | None) -> None:
        if self._once_in_a_while.due(f"denied {caller.name}"):
            log.warning(
                "denied client=%s env=%s wanted=%s", caller.name, "none" if asked is None else asked, route.permission
            )

    async def mark_origin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say which origin may read the answer, before it is sent."""
        if self.origins:  # a reload may allow some
            self.origins.mark(request.headers.get("Origin"), response.headers)


def _status_alone(response: web.StreamResponse) -> web.Response:
    if response.status == 200:
        return web.Response(body=health.BODY, content_type="application/json")
    return failure(response.status, "Unavailable", Retry_After=str(RETRY_SECONDS))
