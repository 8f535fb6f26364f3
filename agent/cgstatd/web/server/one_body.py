"""One body for all clients that are answered from the same round, and the answer when there is no room for another."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from operator import is_

from aiohttp import web

from ...feed.answer_bodies import HOLD_SECONDS, Bodies, Body
from .limits import WRITE_BUFFER_BYTES
from .pieces import Pieces

_KEPT_SECONDS = 0.5
"""A body that is not being sent is kept for clients that come a moment later."""
_OVERLOADED_SECONDS = 1.0
"""The same while more is asked than the agent can answer; it is then answered with while another one is made."""


class NoRoom(Exception):
    """Too many bytes of answers are in flight."""


def answer(body: Body, content_type: str, **headers: str) -> web.Response:
    """An answer with a body that other clients may have too; header names have underscores for dashes."""
    payload = Pieces(body) if body.size > WRITE_BUFFER_BYTES else b"".join(body.parts)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=payload, headers={"Content-Type": content_type} | named)


class OneBody:
    """The bodies of one answer (a route, in one format). Used in the event loop."""

    def __init__(self, bodies: Bodies, overloaded: Callable[[], bool] = lambda: False) -> None:
        self._bodies = bodies
        self._overloaded = overloaded
        self._source: tuple[object, ...] = ()
        """The round that the latest body was made of."""
        self._latest: weakref.ref[Body] | None = None
        self._kept: Body | None = None
        self._making: asyncio.Future[Body] | None = None
        self._size = 0
        self._latest_way: tuple[object, ...] = ()
        """All but the first of what the latest body was made of."""

    async def get(
        self, source: tuple[object, ...], make: Callable[[], Sequence[bytes]], *, threaded: bool = False
    ) -> Body:
        """The body made of ``source``; where there is no room for it the latest one, if it is not too old. While more
        is asked than can be answered, the latest one does that was made of other figures in the same way.

        Raises NoRoom, and what ``make`` raises.
        """
        latest = None if self._latest is None else self._latest()
        same = len(source) == len(self._source) and all(map(is_, source, self._source))
        making = self._making if same else None
        if making is None:
            if same and latest is not None:
                return latest
            if not self._bodies.admit(self._size):
                if latest is not None and self._bodies.clock() - latest.made < HOLD_SECONDS:
                    return latest
                raise NoRoom
            self._source = source
            making = self._making = asyncio.ensure_future(self._make(source, make, threaded))
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
        meanwhile = self._meanwhile(source, latest)
        return await asyncio.shield(making) if meanwhile is None else meanwhile

    def _meanwhile(self, source: tuple[object, ...], latest: Body | None) -> Body | None:
        """What nobody has to wait for: one of other figures, made in the same way."""
        if latest is None or source[1:] != self._latest_way or not self._overloaded():
            return None
        return latest if self._bodies.clock() - latest.made < _OVERLOADED_SECONDS else None

    async def _make(self, source: tuple[object, ...], make: Callable[[], Sequence[bytes]], threaded: bool) -> Body:
        try:
            body = self._bodies.hold(*(await self._bodies.makes.run(make) if threaded else make()))
        finally:
            if self._source is source:
                self._making = None
        self._latest, self._kept, self._size = weakref.ref(body, self._gone), body, body.size
        self._latest_way = source[1:]
        seconds = _OVERLOADED_SECONDS if self._overloaded() else _KEPT_SECONDS
        asyncio.get_running_loop().call_later(seconds, self._forget, weakref.ref(body))
        return body

    def _forget(self, body: weakref.ref[Body]) -> None:
        if self._kept is body():
            self._kept = None

    def _gone(self, body: weakref.ref[Body]) -> None:
        """Nobody has it any more: what it was made of need not stay either."""
        if body is self._latest and self._making is None:
            self._source = ()
