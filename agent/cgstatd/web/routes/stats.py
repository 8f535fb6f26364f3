"""The documented JSON answers: one container, and the array of all."""

from __future__ import annotations

from aiohttp import web

from ...feed.answer_bodies import Body
from ...host.runtimes.base import State
from ...outputs import stats_json
from ...sampling.model import ContainerStats
from ..parts import Parts
from ..server.one_body import NoRoom
from .checks import cpu_budget_headers
from .negotiated import negotiated

_JSON = "application/json"


def running(stats: ContainerStats) -> bytes:
    """JSON of one of all containers; empty for a paused one, which neither stream nor array has."""
    return b"" if stats.state is State.PAUSED else stats_json.encode_streamed(stats)


async def one_container(parts: Parts, request: web.Request) -> web.Response:
    """GET /api/containers/{id}/stats"""
    body = stats_json.encode_one(await parts.feed.one(request.match_info["id"]))
    return await negotiated(parts.bodies, request, Body([body]), _JSON)


async def all_containers(parts: Parts, request: web.Request) -> web.Response:
    """GET /api/containers/stats"""
    round_ = parts.feed.round(encode=running, late_will_do=True)
    known = len(await round_.settled())
    body = round_.shared.get((known,))
    if body is None:
        encoded = round_.encoded(running, 0, known)
        if not parts.bodies.admit(sum(map(len, encoded))):
            raise NoRoom
        body = round_.shared[(known,)] = parts.bodies.hold(b"[" + b",".join(filter(None, encoded)) + b"]")
    response = await negotiated(parts.bodies, request, body, _JSON)
    response.headers.update(cpu_budget_headers(parts.feed))
    return response
