"""GET /api/containers, /api/host and /api/containers/{id}/detail."""

from __future__ import annotations

from aiohttp import web

from ...feed.queries import Queries
from ...outputs.host_json import HistoryFacts
from ...outputs.shown_labels import encode_with_labels
from ..server.one_body import NoRoom, OneBody
from .context import CONTEXT
from .follow import FOLLOWER
from .negotiated import negotiated

QUERIES: web.AppKey[Queries] = web.AppKey("inspector", Queries)
_LISTING: web.AppKey[OneBody] = web.AppKey("listing_body", OneBody)
_HOST: web.AppKey[OneBody] = web.AppKey("host_body", OneBody)
_JSON = "application/json"


async def _shared(request: web.Request, what: object, key: web.AppKey[OneBody]) -> web.Response:
    """An answer that all have who ask while it is the latest."""
    return await negotiated(request, await request.app[key].get((what,), lambda: [encode_with_labels(what)]), _JSON)


async def listing(request: web.Request) -> web.Response:
    """The identities of all containers."""
    return await _shared(request, await request.app[QUERIES].listing.get(), _LISTING)


async def host(request: web.Request) -> web.Response:
    """The host."""
    return await _shared(request, await request.app[QUERIES].host.get(), _HOST)


async def detail(request: web.Request) -> web.Response:
    """The detail of one container: an answer of its own, counted while it is being sent."""
    what = await request.app[QUERIES].detail(request.match_info["id"])
    bodies = request.app[CONTEXT].bodies
    if not bodies.admit(0):
        raise NoRoom
    return await negotiated(request, bodies.hold(encode_with_labels(what)), _JSON)


def add_queries(app: web.Application, env_id: int, history: HistoryFacts) -> None:
    """The source of these answers."""
    app[QUERIES] = Queries(app[CONTEXT].feed, app[FOLLOWER], env_id, history=history)
    app[_LISTING], app[_HOST] = OneBody(app[CONTEXT].bodies), OneBody(app[CONTEXT].bodies)
