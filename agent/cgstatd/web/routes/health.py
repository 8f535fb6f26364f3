"""GET /healthz"""

from __future__ import annotations

import msgspec
from aiohttp import web

from ...outputs import stats_json
from ..parts import Parts
from ..server.failure import failure
from ..server.limits import RETRY_SECONDS

BODY = b'{"status":"ok"}'
_encode = msgspec.json.Encoder().encode


async def healthz(parts: Parts, _request: web.Request) -> web.Response:
    """200 while the containers can be listed, else 503 with the reason; either way with the files that hang."""
    trouble = await parts.health.trouble()
    if trouble:
        return failure(503, trouble, Retry_After=str(RETRY_SECONDS))
    body = _encode(stats_json.Health("ok", parts.health.hung()))
    return web.Response(body=body, content_type="application/json")
