"""The documented JSON answers: one container, and the array of all."""

from __future__ import annotations

from aiohttp import web

from ..container import ReadingFailed
from ..listing import ListingFailed
from ..lookup import Ambiguous, NotFound
from ..outputs import answers
from ..runtimes.base import State
from ..sample import ContainerStats
from .context import CONTEXT, knows_environment, restraint_headers, valid_container_id
from .failure import failure

ENVIRONMENT_NOT_FOUND = "Environment not found"


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def running(stats: ContainerStats) -> bytes:
    """JSON of one of all containers; empty for one that is paused, which neither stream nor array has."""
    return b"" if stats.state is State.PAUSED else answers.encode_streamed(stats)


async def one_container(request: web.Request) -> web.Response:
    """GET /api/containers/{id}/stats"""
    context = request.app[CONTEXT]
    wanted = request.match_info["id"]
    if not valid_container_id(wanted):
        return failure(400, "Invalid container ID")
    if not knows_environment(request, context):
        return failure(404, ENVIRONMENT_NOT_FOUND)
    try:
        return _json(answers.encode_one(await context.feed.one(wanted)))
    except NotFound:
        return failure(404, "Container not found")
    except Ambiguous as error:
        return failure(400, f"Ambiguous container ID {error}")
    except (ListingFailed, ReadingFailed) as error:
        return failure(500, str(error))


async def all_containers(request: web.Request) -> web.Response:
    """GET /api/containers/stats"""
    context = request.app[CONTEXT]
    if not knows_environment(request, context):
        return failure(404, ENVIRONMENT_NOT_FOUND)
    round_ = context.feed.round(encode=running)
    try:
        known = len(await round_.wait())
    except ListingFailed as error:
        return failure(500, str(error))
    if () not in round_.shared:
        round_.shared[()] = [b"[" + b",".join(filter(None, round_.encoded(running, 0, known))) + b"]"]
    answer = _json(round_.shared[()][0])
    answer.headers.update(restraint_headers(context))
    return answer
