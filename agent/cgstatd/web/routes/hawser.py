"""GET /_hawser/health and /_hawser/info: what a Dockhand server asks of a standard agent beside the Engine API."""

from __future__ import annotations

from aiohttp import web

from ...outputs.engine import hawser
from .engine import ENGINE, engine_answer, refusal
from .health import HEALTH


async def health(request: web.Request) -> web.StreamResponse:
    """Open to all, so it says no more than whether the containers can be listed."""
    if await request.app[HEALTH].trouble():
        return refusal(503, "unhealthy")
    return web.Response(body=hawser.HEALTHY, content_type="application/json")


async def info(request: web.Request) -> web.StreamResponse:
    """Who the agent is."""
    return engine_answer(request, hawser.info(await request.app[ENGINE].host.get()))
