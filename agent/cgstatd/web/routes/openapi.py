"""GET /api/openapi.json"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiohttp import web

from ...auth.rules import Rule
from ...feed.answer_bodies import Body
from ..parts import Parts
from .negotiated import negotiated


def documented(rules: Callable[[], Sequence[Rule]]) -> Callable[[Parts, web.Request], Awaitable[web.Response]]:
    """The handler that answers with the document of these routes; it is itself the handler of one of them."""

    @functools.cache
    def document() -> bytes:
        from ...outputs.openapi import document  # noqa: PLC0415 - for who asks only

        return msgspec.json.format(msgspec.json.encode(document(rules())), indent=1)

    async def openapi(parts: Parts, request: web.Request) -> web.Response:
        return await negotiated(parts.bodies, request, Body([document()]), "application/json")

    return openapi
