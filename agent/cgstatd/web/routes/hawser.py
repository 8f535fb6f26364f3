"""GET /_hawser/health and /_hawser/info: what a Dockhand server asks of a standard agent beside the Engine API."""

from __future__ import annotations

from aiohttp import web

from ...outputs.engine import hawser
from ..parts import EngineParts
from .engine import engine_answer, refusal


async def health(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """Open to all, so it says no more than whether the containers can be listed."""
    if await parts.health.trouble():
        return refusal(503, "unhealthy")
    return web.Response(body=hawser.HEALTHY, content_type="application/json")


async def info(parts: EngineParts, _request: web.Request) -> web.StreamResponse:
    """Who the agent is."""
    return engine_answer(parts, hawser.info(await parts.engine.host.get()))
