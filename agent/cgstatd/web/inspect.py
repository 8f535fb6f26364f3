"""GET /api/containers, /api/host and /api/containers/{id}/detail."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ..inspect import Inspector
from .context import CONTEXT
from .follow import FOLLOWER

INSPECTOR: web.AppKey[Inspector] = web.AppKey("inspector", Inspector)
_encode = msgspec.json.Encoder().encode


def _json(what: object) -> web.Response:
    return web.Response(body=_encode(what), content_type="application/json")


async def listing(request: web.Request) -> web.Response:
    """Who is there."""
    return _json(await request.app[INSPECTOR].listing.get())


async def host(request: web.Request) -> web.Response:
    """The host."""
    return _json(await request.app[INSPECTOR].host.get())


async def detail(request: web.Request) -> web.Response:
    """Everything of one container."""
    return _json(await request.app[INSPECTOR].detail(request.match_info["id"]))


def add_inspect(app: web.Application, env_id: int) -> None:
    """What these ask."""
    app[INSPECTOR] = Inspector(app[CONTEXT].feed, app[FOLLOWER], env_id)
