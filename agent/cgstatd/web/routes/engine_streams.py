"""GET /containers/{container}/stats and GET /events: one JSON object a line, for as long as the client listens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import cast

from aiohttp import web

from ...feed.answer_bodies import Body, Reader
from ...feed.engine import Engine
from ...feed.engine_readings import Answer
from ...feed.event_listener import Listener
from ...outputs.engine import events, stats, system
from ...outputs.engine.filters import parse_filters
from ...outputs.engine.names import engine_id, id_of
from ...sampling import pass_work
from ...sampling.engine_figures import EngineCpu, EngineFigures
from ...sampling.lookup import Ambiguous, Known, NotFound
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed
from ..parts import EngineParts
from ..server.one_body import NoRoom
from ..server.pieces import PIECE_BYTES
from .engine import is_on, wanted_container

_LEAST_SECONDS = 0.5
"""Between the first two objects of a stream: the later ones are sent at the full second of the agent's clock, so that
all streams share a reading."""
STALLED_SECONDS = 60.0


def streamed(request: web.Request) -> bool:
    """Whether the answer stays open."""
    return request.path.endswith("/events") or is_on(request.query.get("stream"), default=True)


async def container_stats(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /containers/{container}/stats: a stream; ``stream=0``: one object; with ``one-shot=1`` one without an earlier
    reading."""
    engine, wanted = parts.engine, wanted_container(request)
    if not streamed(request):
        return web.Response(
            body=await _once(engine, wanted, one_shot=is_on(request.query.get("one-shot"))),
            content_type="application/json",
        )
    first = await _compared(engine, wanted)
    response = await _begin(request)
    with contextlib.suppress(ConnectionError, TimeoutError):  # the client went away, or reads nothing
        await _stream(engine, _id_of(first[0]), first, response)  # its name may become another's
    return response


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", **system.HEADERS})
    await response.prepare(request)
    return response


async def _once(engine: Engine, wanted: str, *, one_shot: bool) -> bytes:
    if one_shot:
        return _encoded(await engine.readings.get(wanted), None)
    found, before = await _compared(engine, wanted)
    return _encoded(found, before)


async def _compared(engine: Engine, wanted: str) -> tuple[Answer, EngineCpu | None]:
    """A reading, and the earlier one; of a container without a baseline a second reading is taken."""
    found = await engine.readings.get(wanted)
    if not isinstance(found, EngineFigures) or found.cpu is None or found.before is not None:
        return found, found.before if isinstance(found, EngineFigures) else None
    await asyncio.sleep(pass_work.CPU_WINDOW_SECONDS)
    again = await engine.readings.get(wanted, 0.0)
    if not isinstance(again, EngineFigures):
        return again, None
    return again, again.before or found.cpu


def _id_of(found: Answer) -> str:
    if isinstance(found, Known):
        return engine_id(found.runtime, found.owner_uid, found.id)
    return id_of(found.identity)


def _encoded(found: Answer, before: EngineCpu | None) -> bytes:
    if isinstance(found, Known):
        return stats.stopped(found.name, _id_of(found))
    return stats.encode(found, before)


async def _stream(
    engine: Engine, wanted: str, first: tuple[Answer, EngineCpu | None], response: web.StreamResponse
) -> None:
    """Until the container is removed. Raises ConnectionError, TimeoutError."""
    loop = asyncio.get_running_loop()
    found, before = first
    while True:
        async with asyncio.timeout(STALLED_SECONDS):
            await response.write(_encoded(found, before))
        before = found.cpu if isinstance(found, EngineFigures) else None
        while True:
            try:
                found = await engine.seconds.at(wanted, int(loop.time() + 1.0 + _LEAST_SECONDS))
                break
            except (NotFound, Ambiguous):
                return
            except (ReadingFailed, ListingFailed):  # this second is left out
                pass


async def happenings(parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """GET /events"""
    query = request.query
    filters = parse_filters(query.get("filters"), events.FILTERS)
    since, until = events.parse_time(query.get("since")), events.parse_time(query.get("until"))
    source = parts.engine.events
    fits = events.wanted(filters)
    listener, past = await source.subscribe(past=since is not None)
    try:
        lines = await parts.engine.answers.run(_lines, past, since, until, fits)
        if not parts.bodies.admit(parts.bodies.more(lines)):
            raise NoRoom
        before = parts.bodies.hold(*lines)
        del past, lines
        response = await _begin(request)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await _send_all(request, response, before)
            del before
            async with asyncio.timeout(None if until is None else max(0.0, until / 1e9 - time.time())):
                await _follow(response, listener, fits, until)
        return response
    finally:
        source.leave(listener)


def _lines(past: list[events.Event], since: int | None, until: int | None, fits: events.Fits) -> list[bytes]:
    """Of the events that a client wants; computed beside the event loop."""
    return [each.line for each in past if _within(each, since, until) and fits(each)]


def _within(each: events.Event, since: int | None, until: int | None) -> bool:
    return (since is None or each.time_ns >= since) and (until is None or each.time_ns <= until)


async def _send_all(request: web.Request, response: web.StreamResponse, body: Body) -> None:
    """What happened before. A client that does not read it is cut where others need the bytes."""
    reader = cast(Reader, request.transport)
    body.readers.add(reader)
    try:
        for piece in _pieces(body.parts):
            await _send(response, piece)
    finally:
        body.readers.discard(reader)


def _pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The same in fewer writes: thousands of short lines would hold the event loop up. A copy is one piece long."""
    several: list[bytes] = []
    size = 0
    for line in lines:
        if several and size + len(line) > PIECE_BYTES:
            yield b"".join(several)
            several, size = [], 0
        several.append(line)
        size += len(line)
    if several:
        yield several[0] if len(several) == 1 else b"".join(several)


async def _send(response: web.StreamResponse, line: bytes) -> None:
    """An event may have a megabyte of labels: what waits for a client that reads slowly is a piece of it, not a
    copy."""
    async with asyncio.timeout(STALLED_SECONDS):
        view = memoryview(line)
        for start in range(0, len(view), PIECE_BYTES):
            await response.write(view[start : start + PIECE_BYTES])


async def _follow(response: web.StreamResponse, listener: Listener, fits: events.Fits, until: int | None) -> None:
    async for each in listener.events():
        if _within(each, None, until) and fits(each):
            await _send(response, each.line)
