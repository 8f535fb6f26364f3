"""GET /_hawser/health and /_hawser/info: what a Dockhand server asks of a standard agent beside the Engine API."""

from __future__ import annotations

from ...feed.answer_bodies import Body
from ...outputs.engine import hawser
from ..parts import EngineParts
from .engine import engine_answer
from .engine_answer import EngineAnswer, EngineRequest, refusal


async def health(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """Open to all, so it says no more than whether the containers can be listed."""
    if await parts.health.trouble():
        return refusal(503, "unhealthy")
    return EngineAnswer(Body([hawser.HEALTHY]))


async def info(parts: EngineParts, _asked: EngineRequest) -> EngineAnswer:
    """Who the agent is."""
    return engine_answer(parts, hawser.info(await parts.engine.host.get()))
