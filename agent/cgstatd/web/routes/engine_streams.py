"""GET /containers/{container}/stats and GET /events: one JSON object a line, for as long as the client listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from functools import partial

from ...feed.answer_bodies import Body, Reader
from ...feed.engine import Engine
from ...feed.engine_readings import Answer as Reading
from ...feed.event_listener import Listener
from ...outputs.engine import events, stats
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
from .engine import is_on
from .engine_answer import EngineAnswer, EngineRequest

_LEAST_SECONDS = 0.5
"""Between the first two objects of a stream: the later ones are sent at the full second of the agent's clock, so that
all streams share a reading."""


async def container_stats(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /containers/{container}/stats: a stream; ``stream=0``: one object; with ``one-shot=1`` one without an earlier
    reading."""
    engine, wanted = parts.engine, asked.container
    if not is_on(asked.query.get("stream"), default=True):
        return EngineAnswer(Body([await _once(engine, wanted, one_shot=is_on(asked.query.get("one-shot")))]))
    found, before = await _compared(engine, wanted)
    return EngineAnswer(stream=_stream(engine, _id_of(found), found, before))  # its name may become another's


async def _once(engine: Engine, wanted: str, *, one_shot: bool) -> bytes:
    if one_shot:
        return _encoded(await engine.readings.get(wanted), None)
    found, before = await _compared(engine, wanted)
    return _encoded(found, before)


async def _compared(engine: Engine, wanted: str) -> tuple[Reading, EngineCpu | None]:
    """A reading, and the earlier one; of a container without a baseline a second reading is taken."""
    found = await engine.readings.get(wanted)
    if not isinstance(found, EngineFigures) or found.cpu is None or found.before is not None:
        return found, found.before if isinstance(found, EngineFigures) else None
    await asyncio.sleep(pass_work.CPU_WINDOW_SECONDS)
    again = await engine.readings.get(wanted, 0.0)
    if not isinstance(again, EngineFigures):
        return again, None
    return again, again.before or found.cpu


def _id_of(found: Reading) -> str:
    if isinstance(found, Known):
        return engine_id(found.runtime, found.owner_uid, found.id)
    return id_of(found.identity)


def _encoded(found: Reading, before: EngineCpu | None) -> bytes:
    if isinstance(found, Known):
        return stats.stopped(found.name, _id_of(found))
    return stats.encode(found, before)


async def _stream(engine: Engine, wanted: str, found: Reading, before: EngineCpu | None) -> AsyncGenerator[bytes, None]:
    """Until the container is removed."""
    loop = asyncio.get_running_loop()
    while True:
        yield _encoded(found, before)
        before = found.cpu if isinstance(found, EngineFigures) else None
        while True:
            try:
                found = await engine.seconds.at(wanted, int(loop.time() + 1.0 + _LEAST_SECONDS))
                break
            except (NotFound, Ambiguous):
                return
            except (ReadingFailed, ListingFailed):  # this second is left out
                pass


async def happenings(parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """GET /events"""
    query = asked.query
    filters = parse_filters(query.get("filters"), events.FILTERS)
    since, until = events.parse_time(query.get("since")), events.parse_time(query.get("until"))
    source = parts.engine.events
    fits = events.wanted(filters)
    listener, past = await source.subscribe(past=since is not None)
    try:
        lines = await parts.engine.answers.run(_lines, past, since, until, fits)
        if not parts.bodies.admit(parts.bodies.more(lines)):
            raise NoRoom
    except BaseException:
        source.leave(listener)
        raise
    told = _told(parts.bodies.hold(*lines), asked.reader, listener, fits, until)
    return EngineAnswer(stream=told, over=partial(source.leave, listener))


def _lines(past: list[events.Event], since: int | None, until: int | None, fits: events.Fits) -> list[bytes]:
    """Of the events that a client wants; computed beside the event loop."""
    return [each.line for each in past if _within(each, since, until) and fits(each)]


def _within(each: events.Event, since: int | None, until: int | None) -> bool:
    return (since is None or each.time_ns >= since) and (until is None or each.time_ns <= until)


async def _told(
    before: Body, reader: Reader, listener: Listener, fits: events.Fits, until: int | None
) -> AsyncGenerator[bytes, None]:
    """What happened before, then what happens."""
    piece = b""
    before.readers.add(reader)
    try:
        for piece in _pieces(before.parts):
            yield piece
    finally:
        before.readers.discard(reader)
    del before, piece
    happen = listener.events()
    while True:
        try:
            async with asyncio.timeout(None if until is None else max(0.0, until / 1e9 - time.time())):
                each = await anext(happen)
        except (TimeoutError, StopAsyncIteration):
            return
        if _within(each, None, until) and fits(each):
            yield each.line


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
