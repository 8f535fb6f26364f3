"""GET /api/openapi.json"""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from aiohttp import web

from ...feed.answer_bodies import Body
from .negotiated import negotiated


def document() -> dict[str, Any]:
    """OpenAPI of the table of routes."""
    from ...outputs.openapi import document as document_of  # noqa: PLC0415 - for who asks only
    from .table import ROUTES  # noqa: PLC0415 - the table has this module's own route

    return document_of(ROUTES)


@functools.cache
def _bytes() -> bytes:
    return msgspec.json.format(msgspec.json.encode(document()), indent=1)


async def openapi(request: web.Request) -> web.Response:
    """The document; the same as long as the agent runs."""
    return await negotiated(request, Body([_bytes()]), "application/json")
