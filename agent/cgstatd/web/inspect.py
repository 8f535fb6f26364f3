"""GET /api/containers, /api/host and /api/containers/{id}/detail."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ..container import ReadingFailed
from ..inspect import Inspector
from ..listing import ListingFailed
from ..lookup import Ambiguous, NotFound
from .containers import ENVIRONMENT_NOT_FOUND
from .context import CONTEXT, knows_environment, valid_container_id
from .failure import failure
from .follow import FOLLOWER

INSPECTOR: web.AppKey[Inspector] = web.AppKey("inspector", Inspector)
_encode = msgspec.json.Encoder().encode


def _json(what: object) -> web.Response:
    return web.Response(body=_encode(what), content_type="application/json")


async def listing(request: web.Request) -> web.Response:
    """Who is there."""
    if not knows_environment(request, request.app[CONTEXT]):
        return failure(404, ENVIRONMENT_NOT_FOUND)
    try:
        return _json(await request.app[INSPECTOR].listing.get())
    except (ListingFailed, ReadingFailed) as error:
        return failure(500, str(error))


async def host(request: web.Request) -> web.Response:
    """The host."""
    if not knows_environment(request, request.app[CONTEXT]):
        return failure(404, ENVIRONMENT_NOT_FOUND)
    try:
        return _json(await request.app[INSPECTOR].host.get())
    except (ListingFailed, ReadingFailed) as error:
        return failure(500, str(error))


async def detail(request: web.Request) -> web.Response:
    """Everything of one container."""
    wanted = request.match_info["id"]
    if not valid_container_id(wanted):
        return failure(400, "Invalid container ID")
    if not knows_environment(request, request.app[CONTEXT]):
        return failure(404, ENVIRONMENT_NOT_FOUND)
    try:
        return _json(await request.app[INSPECTOR].detail(wanted))
    except NotFound:
        return failure(404, "Container not found")
    except Ambiguous as error:
        return failure(400, f"Ambiguous container ID {error}")
    except (ListingFailed, ReadingFailed) as error:
        return failure(500, str(error))


def add_inspect(app: web.Application, env_id: int) -> None:
    """The routes, and the inspector behind them."""
    app[INSPECTOR] = Inspector(app[CONTEXT].feed, app[FOLLOWER], env_id)
    app.router.add_get("/api/containers", listing)
    app.router.add_get("/api/host", host)
    app.router.add_get("/api/containers/{id:[^/]*}/detail", detail)
