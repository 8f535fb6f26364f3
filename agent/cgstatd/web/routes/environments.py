"""GET /api/environments and /api/environments/{env}: clients of Dockhand ask which there are before anything else."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ...outputs.environments import Environment
from ...outputs.environments import environment as environment_of
from ..parts import Parts

_encode = msgspec.json.Encoder().encode


async def _own(parts: Parts) -> Environment:
    return environment_of(parts.env_id, await parts.queries.hostname.get())


async def environments(parts: Parts, _request: web.Request) -> web.Response:
    """All of them: one."""
    return web.Response(body=_encode([await _own(parts)]), content_type="application/json")


async def environment(parts: Parts, _request: web.Request) -> web.Response:
    """The one that was asked for: the guard has seen that it is the agent's."""
    return web.Response(body=_encode(await _own(parts)), content_type="application/json")
