"""GET /healthz"""

from __future__ import annotations

from aiohttp import web

from ..health import Health
from .context import CONTEXT
from .failure import failure
from .limits import RETRY_SECONDS

HEALTH: web.AppKey[Health] = web.AppKey("health", Health)
BODY = b'{"status":"ok"}'


async def healthz(request: web.Request) -> web.Response:
    """200 while the containers can be listed, else 503 with the reason."""
    trouble = await request.app[HEALTH].trouble()
    if trouble:
        return failure(503, trouble, Retry_After=str(RETRY_SECONDS))
    return web.Response(body=BODY, content_type="application/json")


def add_health(app: web.Application) -> None:
    """What the route asks."""
    app[HEALTH] = Health(app[CONTEXT].feed)
