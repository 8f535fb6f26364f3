"""GET /healthz"""

from __future__ import annotations

import msgspec
from aiohttp import web

from ...feed.health import Health
from ...outputs import stats_json
from ..server.failure import failure
from ..server.limits import RETRY_SECONDS
from .context import CONTEXT

HEALTH: web.AppKey[Health] = web.AppKey("health", Health)
BODY = b'{"status":"ok"}'
_encode = msgspec.json.Encoder().encode


async def healthz(request: web.Request) -> web.Response:
    """200 while the containers can be listed, else 503 with the reason; either way with the files that hang."""
    health = request.app[HEALTH]
    trouble = await health.trouble()
    if trouble:
        return failure(503, trouble, Retry_After=str(RETRY_SECONDS))
    body = _encode(stats_json.Health("ok", health.hung()))
    return web.Response(body=body, content_type="application/json")


def add_health(app: web.Application) -> None:
    """What the route asks."""
    app[HEALTH] = Health(app[CONTEXT].feed)
