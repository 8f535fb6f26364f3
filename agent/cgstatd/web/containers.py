"""The documented JSON answers: one container, and the array of all."""

from __future__ import annotations

from aiohttp import web

from ..container import ReadingFailed
from ..lookup import Ambiguous, NotFound
from ..outputs import answers
from ..passes import Pass
from ..runtimes.base import State
from ..sampler import ListingFailed
from .context import CONTEXT, knows_environment, valid_container_id

ENVIRONMENT_NOT_FOUND = "Environment not found"


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def failure(status: int, error: str) -> web.Response:
    """An error as JSON."""
    return _json(answers.encode_failure(error), status)


def encoded(round_: Pass, index: int) -> bytes:
    """JSON of one of a pass' containers, encoded once for all who ask; empty for one that is not running."""
    cache, stats = round_.encoded, round_.stats
    while len(cache) <= index:
        each = stats[len(cache)]
        cache.append(b"" if each.state is State.PAUSED else answers.encode_streamed(each))
    return cache[index]


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
    round_ = context.feed.round()
    try:
        known = len(await round_.wait())
    except ListingFailed as error:
        return failure(500, str(error))
    if not round_.encoded_array:
        parts = filter(None, (encoded(round_, n) for n in range(known)))
        round_.encoded_array = b"[" + b",".join(parts) + b"]"
    return _json(round_.encoded_array)


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: 200 while the containers can be listed, else 503 with the reason."""
    try:
        await request.app[CONTEXT].feed.round().wait()
    except ListingFailed as error:
        return failure(503, str(error))
    return _json(b'{"status":"ok"}')
