"""The documented JSON answers: one container, and the array of all."""

from __future__ import annotations

from aiohttp import web

from ...feed.answer_bodies import Body
from ...host.runtimes.base import State
from ...outputs import stats_json
from ...sampling.model import ContainerStats
from ..server.one_body import NoRoom
from .context import CONTEXT, cpu_budget_headers
from .negotiated import negotiated

_JSON = "application/json"


def running(stats: ContainerStats) -> bytes:
    """JSON of one of all containers; empty for a paused one, which neither stream nor array has."""
    return b"" if stats.state is State.PAUSED else stats_json.encode_streamed(stats)


async def one_container(request: web.Request) -> web.Response:
    """GET /api/containers/{id}/stats"""
    body = stats_json.encode_one(await request.app[CONTEXT].feed.one(request.match_info["id"]))
    return await negotiated(request, Body([body]), _JSON)


async def all_containers(request: web.Request) -> web.Response:
    """GET /api/containers/stats"""
    context = request.app[CONTEXT]
    round_ = context.feed.round(encode=running, late_will_do=True)
    known = len(await round_.settled())
    body = round_.shared.get((known,))
    if body is None:
        encoded = round_.encoded(running, 0, known)
        if not context.bodies.admit(sum(map(len, encoded))):
            raise NoRoom
        body = round_.shared[(known,)] = context.bodies.hold(b"[" + b",".join(filter(None, encoded)) + b"]")
    response = await negotiated(request, body, _JSON)
    response.headers.update(cpu_budget_headers(context))
    return response
