"""The table of the Engine API, and how a request finds its handler: over HTTP, and without."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from typing import NamedTuple, cast

from aiohttp import web
from yarl import URL

from ...feed.answer_bodies import Body, Reader
from ...outputs.engine.system import READ_ONLY
from ..parts import EngineParts
from ..server.failure import ENVIRONMENT_NOT_FOUND
from ..server.limits import MAX_LINE_BYTES
from ..server.one_body import answer as http_answer
from ..server.pieces import slices
from . import engine, engine_streams, hawser
from .checks import environment_asked
from .engine_answer import EngineAnswer, EngineRequest, Handler, answer_of, error_body, refusal

STALLED_SECONDS = 60.0
"""A client that takes nothing for this long is cut off."""
_METHODS = ("GET", "HEAD")
_VERSION = r"(?:/(?P<version>v1\.[0-9]{1,3}))?"
_FIRST, _LAST = "\x21", "\x7e"
"""Visible ASCII."""


class EngineRoute(NamedTuple):
    """A path that is answered with GET, and with HEAD where the answer ends."""

    path: str
    handler: Handler
    stream: bool = False
    versioned: bool = True
    """Whether it is there with the version in front, too."""
    open: bool = False
    """Whether it is answered without credentials, and for any environment."""
    name: str = "[^{}/]+"
    """What stands for a part in braces."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """Of the decoded path."""
        return re.compile((_VERSION if self.versioned else "") + re.sub(r"{(\w+)}", rf"(?P<\1>{self.name})", self.path))


ENGINE = (
    EngineRoute("/_ping", engine.ping),
    EngineRoute("/version", engine.version),
    EngineRoute("/info", engine.info),
    EngineRoute("/containers/json", engine.listing),
    EngineRoute("/containers/{container}/json", engine.inspect),
    EngineRoute("/containers/{container}/stats", engine_streams.container_stats, stream=True),
    EngineRoute("/containers/{container}/top", engine.top),
    EngineRoute("/events", engine_streams.happenings, stream=True),
    EngineRoute("/images/json", engine.images),
    EngineRoute("/images/{name}/json", engine.image, name=".+"),
    EngineRoute("/networks", engine.networks),
    EngineRoute("/networks/{name}", engine.network),
    EngineRoute("/volumes", engine.volumes),
    EngineRoute("/volumes/{name}", engine.volume),
    EngineRoute("/plugins/{name}/json", engine.plugin),
    EngineRoute("/system/df", engine.disk_usage),
)
HAWSER = (
    EngineRoute("/_hawser/health", hawser.health, versioned=False, open=True),
    EngineRoute("/_hawser/info", hawser.info, versioned=False),
)
"""What a Dockhand server asks of a standard agent."""
_PATTERNS = [(each.pattern, each) for each in (*ENGINE, *HAWSER)]


class BadTarget(ValueError):
    """Not the target of a request; one sentence."""


async def ask(parts: EngineParts, method: str, target: str, reader: Reader) -> EngineAnswer:
    """Answer a request that came with no headers and no body: a method, a path and a query. Raises BadTarget."""
    if method not in _METHODS:
        return refusal(403, READ_ONLY)
    url = _parsed(target)
    found = ((match, each) for pattern, each in _PATTERNS if (match := pattern.fullmatch(url.path_safe)) is not None)
    match, known = next(found, (None, None))
    if not (known is not None and known.open) and environment_asked({}, url.query, parts.env_id) != parts.env_id:
        return EngineAnswer(Body([error_body(ENVIRONMENT_NOT_FOUND)]), 404, headers={})
    if match is None or known is None or (known.stream and method == "HEAD"):
        return refusal(403, READ_ONLY)
    named = {key: (text or "").replace("%2F", "/").replace("%25", "%") for key, text in match.groupdict().items()}
    return await answer_of(known.handler, parts, EngineRequest(named, url.query, reader))


def _parsed(target: str) -> URL:
    """As of a request line. Raises BadTarget."""
    if not target.startswith("/"):
        raise BadTarget("expected a path")
    if len(target) > MAX_LINE_BYTES:
        raise BadTarget("the path is too long")
    if min(target) < _FIRST or max(target) > _LAST:
        raise BadTarget("the path has characters that it cannot have")
    path, _, query = target.partition("#")[0].partition("?")
    try:
        return URL.build(path=path, query_string=query, encoded=True)
    except ValueError as error:
        raise BadTarget("not a path") from error


# -- over HTTP


def streamed(request: web.Request) -> bool:
    """Whether the answer stays open."""
    return request.path.endswith("/events") or engine.is_on(request.query.get("stream"), default=True)


async def over_http(handler: Handler, parts: EngineParts, request: web.Request) -> web.StreamResponse:
    """The answer of a handler to a request that its client's connection waits for."""
    found = await answer_of(
        handler, parts, EngineRequest(request.match_info, request.query, cast(Reader, request.transport))
    )
    if found.stream is None:
        answered = http_answer(found.body, found.content_type, **found.headers)
        answered.set_status(found.status)
        return answered
    response = web.StreamResponse(headers={"Content-Type": found.content_type, **found.headers})
    try:
        await response.prepare(request)
        async with aclosing(found.stream) as pieces:
            with suppress(ConnectionError, TimeoutError):  # the client went away, or reads nothing
                async for piece in pieces:
                    async with asyncio.timeout(STALLED_SECONDS):
                        for part in slices(piece):
                            await response.write(part)
    finally:
        found.over()
    return response
