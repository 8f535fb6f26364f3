"""GET /api/containers, /api/host and /api/containers/{id}/detail."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ...feed.queries import Queries
from ..server.one_body import NoRoom, OneBody, answer
from .context import CONTEXT
from .follow import FOLLOWER

QUERIES: web.AppKey[Queries] = web.AppKey("inspector", Queries)
_LISTING: web.AppKey[OneBody] = web.AppKey("listing_body", OneBody)
_encode = msgspec.json.Encoder().encode
_JSON = "application/json"


def _json(request: web.Request, what: object) -> web.Response:
    """An answer of its own, counted while it is being sent."""
    bodies = request.app[CONTEXT].bodies
    if not bodies.admit(0):
        raise NoRoom
    return answer(bodies.hold(_encode(what)), _JSON)


async def listing(request: web.Request) -> web.Response:
    """The identities of all containers."""
    found = await request.app[QUERIES].listing.get()
    return answer(await request.app[_LISTING].get((found,), lambda: [_encode(found)]), _JSON)


async def host(request: web.Request) -> web.Response:
    """The host."""
    return _json(request, await request.app[QUERIES].host.get())


async def detail(request: web.Request) -> web.Response:
    """The detail of one container."""
    return _json(request, await request.app[QUERIES].detail(request.match_info["id"]))


def add_queries(app: web.Application, env_id: int) -> None:
    """The source of these answers."""
    app[QUERIES] = Queries(app[CONTEXT].feed, app[FOLLOWER], env_id)
    app[_LISTING] = OneBody(app[CONTEXT].bodies)
