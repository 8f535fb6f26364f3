"""GET /api/containers, /api/host and /api/containers/{id}/detail."""

from __future__ import annotations

from aiohttp import web

from ...outputs.shown_labels import encode_with_labels
from ..parts import Parts
from ..server.one_body import NoRoom, OneBody
from .negotiated import negotiated

_JSON = "application/json"


async def _shared(parts: Parts, request: web.Request, what: object, one: OneBody) -> web.Response:
    """An answer that all have who ask while it is the latest."""
    return await negotiated(parts.bodies, request, await one.get((what,), lambda: [encode_with_labels(what)]), _JSON)


async def listing(parts: Parts, request: web.Request) -> web.Response:
    """The identities of all containers."""
    return await _shared(parts, request, await parts.queries.listing.get(), parts.listing_body)


async def host(parts: Parts, request: web.Request) -> web.Response:
    """The host."""
    return await _shared(parts, request, await parts.queries.host.get(), parts.host_body)


async def detail(parts: Parts, request: web.Request) -> web.Response:
    """The detail of one container: an answer of its own, counted while it is being sent."""
    what = await parts.queries.detail(request.match_info["id"])
    if not parts.bodies.admit(0):
        raise NoRoom
    return await negotiated(parts.bodies, request, parts.bodies.hold(encode_with_labels(what)), _JSON)
