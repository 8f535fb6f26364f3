"""The rounds of the last hour, and of days: of a container, a workload, all containers, the host, and one by one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web

from ...basics.text import is_number
from ...feed.history.disk import Silent
from ...feed.history.reading import History
from ...feed.history.short_lines import DEFAULT_FIGURES, FIGURES
from ...feed.history.steps_reading import Asked
from ...outputs.history_types import MOST_ROUNDS, MOST_STEP, MOST_TIME, MOST_WORKLOAD
from ..parts import Parts
from ..server.failure import failure
from ..server.limits import RETRY_SECONDS
from ..server.one_body import NoRoom
from .negotiated import negotiated

NDJSON = "application/x-ndjson"
DEFAULT_ROUNDS = 60
_LINES_STEP = 60.0
"""Seconds: fifteen points of the last fifteen minutes."""
_JSON = "application/json"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
Handler = Callable[[Parts, web.Request], Awaitable[web.Response]]
Answer = Callable[[Parts, web.Request, History], Awaitable[web.Response]]
_OFF = "history = 0 in the configuration"


class BadParameter(ValueError):
    """The text says which, and what is allowed."""


def _whole(request: web.Request, name: str, most: int, least: int = 0) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not is_number(text) or not least <= int(text) <= most:
        raise BadParameter(f"{name}: expected a whole number from {least} to {most}")
    return int(text)


def _asked(request: web.Request, interval: float) -> Asked:
    since, until = _whole(request, "since", MOST_TIME), _whole(request, "until", MOST_TIME)
    if since is not None and until is not None and since > until:
        raise BadParameter("since: expected a time that is not after until")
    text = request.query.get("step")
    if text is None:
        return Asked(since, until, interval)
    if len(text) > 40 or not _NUMBER.fullmatch(text) or not 0 < float(text) <= MOST_STEP:
        raise BadParameter(f"step: expected seconds, more than 0 and at most {MOST_STEP:g}, as in 60")
    return Asked(since, until, float(text))


async def _body(parts: Parts, request: web.Request, pieces: list[bytes], content_type: str) -> web.Response:
    if not parts.bodies.admit(sum(map(len, pieces))):
        raise NoRoom
    return await negotiated(parts.bodies, request, parts.bodies.hold(*pieces), content_type)


def _of_history(answer_of: Answer) -> Handler:
    """A handler that is given the history: 404 where it is off, 400 where a parameter is none."""

    @wraps(answer_of)
    async def handler(parts: Parts, request: web.Request) -> web.Response:
        history = parts.history
        if history is None:
            return failure(404, "History is off", _OFF)
        try:
            await history.ready()
            return await answer_of(parts, request, history)
        except BadParameter as error:
            return failure(400, str(error))
        except Silent as error:
            return failure(503, "The history on disk cannot be read", str(error), Retry_After=str(RETRY_SECONDS))

    return handler


@_of_history
async def container(parts: Parts, request: web.Request, history: History) -> web.Response:
    """One container in steps."""
    asked = _asked(request, history.memory.interval_seconds)
    found = await history.container(request.match_info["id"], asked)
    return await _body(parts, request, [await history.encoded(found)], _JSON)


@_of_history
async def workload(parts: Parts, request: web.Request, history: History) -> web.Response:
    """All containers of a workload, one after the other, in steps."""
    wanted = request.query.get("workload", "")
    if not 0 < len(wanted) <= MOST_WORKLOAD:
        raise BadParameter("workload: expected one as the list has it, as in compose:shop/api/1")
    asked = _asked(request, history.memory.interval_seconds)
    return await _body(parts, request, [await history.encoded(await history.workload(wanted, asked))], _JSON)


@_of_history
async def all_containers(parts: Parts, request: web.Request, history: History) -> web.Response:
    """All containers in few steps."""
    asked = _asked(request, _LINES_STEP)
    text = request.query.get("figures")
    figures = DEFAULT_FIGURES if text is None else tuple(dict.fromkeys(text.split(",", len(FIGURES))))
    if not set(figures) <= set(FIGURES):
        raise BadParameter(f"figures: expected some of {', '.join(FIGURES)}, with commas between")
    return await _body(parts, request, [await history.lines(asked.since_ms, asked.step_seconds, figures)], _JSON)


@_of_history
async def host(parts: Parts, request: web.Request, history: History) -> web.Response:
    """The host in steps."""
    asked = _asked(request, history.memory.interval_seconds)
    return await _body(parts, request, [await history.encoded(await history.host(asked))], _JSON)


@_of_history
async def rounds(parts: Parts, request: web.Request, history: History) -> web.Response:
    """Every round behind a cursor, a line each."""
    limit = _whole(request, "limit", MOST_ROUNDS, 1) or DEFAULT_ROUNDS
    place = history.after(request.query.get("cursor", ""))
    if place is None:
        raise BadParameter("cursor: expected one that a line of this answer had")
    return await _body(parts, request, await history.page(*place, limit), NDJSON)
