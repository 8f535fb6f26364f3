"""GET /api/openapi.json"""

from __future__ import annotations

import functools

import msgspec
from aiohttp import web


@functools.cache
def _body() -> bytes:
    from ..outputs.openapi import document  # noqa: PLC0415 - for who asks only

    return msgspec.json.format(msgspec.json.encode(document()), indent=1)


async def openapi(_request: web.Request) -> web.Response:
    """The document; the same as long as the agent runs."""
    return web.Response(body=_body(), content_type="application/json")


def add_openapi(app: web.Application) -> None:
    """The route."""
    app.router.add_get("/api/openapi.json", openapi)
