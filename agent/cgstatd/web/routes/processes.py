"""GET /api/containers/{id}/processes"""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from ...basics.text import is_number
from ...host.identity import Identity
from ...outputs.processes_json import DEFAULT_LIMIT, SORTS, container_processes, no_processes
from ...sampling.process_list import MOST
from ..parts import Parts
from ..server.failure import failure
from ..server.one_body import NoRoom
from .negotiated import negotiated

_encode = msgspec.json.Encoder().encode


async def processes(parts: Parts, request: web.Request) -> web.Response:
    """The largest processes of one container."""
    sort, text = request.query.get("sort", SORTS[0]), request.query.get("limit", str(DEFAULT_LIMIT))
    if sort not in SORTS:
        return failure(400, f"sort: expected {' or '.join(SORTS)}")
    limit = int(text) if is_number(text) else 0
    if not 1 <= limit <= MOST:
        return failure(400, f"limit: expected 1 to {MOST}")
    found = await parts.processes.get(request.match_info["id"])
    if isinstance(found, Identity):
        body = no_processes(found, time.time_ns() // 1_000_000, sort)
    else:
        body = container_processes(found, sort, limit)
    if not parts.bodies.admit(0):
        raise NoRoom
    return await negotiated(parts.bodies, request, parts.bodies.hold(_encode(body)), "application/json")
