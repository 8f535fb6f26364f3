"""The bodies of answers in flight: one for all clients that wait for the same, their bytes counted in one budget.

A client that reads slowly, or not at all, holds a reference to a body and nothing else. The bodies of many rounds could
pile up, each held by a client that does not read. So they are counted, and beyond the budget the agent cuts the clients
that hold the oldest ones, or refuses the request.
"""

from __future__ import annotations

import asyncio
import time
import weakref
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from ..basics.event_loop import OneThread

BUDGET_BYTES = 32 << 20
"""Three answers of 2,000 containers' metrics; those of 300 are some 1.4 MiB each."""
HOLD_SECONDS = 10.0
"""A scraper does not wait longer than this for its answer. An answer that takes longer may be cut, if others need its
bytes."""
GZIP_LEVEL = 1
"""Level 6 takes more than twice the time, and makes the metrics of 22 containers a sixth smaller."""
_AT_ONCE_BYTES = 32 << 10
"""What is compressed in the event loop, in a fifth of a millisecond. More is compressed in a thread."""
_LEAST_RATIO = 4
"""Compressed, an answer is smaller by this at least, as far as it is known before."""


class Reader(Protocol):
    """The connection of a client that a body is being sent to."""

    def abort(self) -> None:
        """Cut it."""


class Body:
    """The bytes of an answer, or the writes of a stream; counted for as long as it is referred to."""

    __slots__ = ("__weakref__", "compressing", "made", "parts", "readers", "size")

    def __init__(self, parts: Sequence[bytes], made: float = 0.0) -> None:
        self.parts = parts
        self.size = sum(map(len, parts))
        self.made = made
        self.readers: set[Reader] = set()
        """The connections that it is being sent to."""
        self.compressing: asyncio.Future[Body] | None = None
        """The same compressed, once a client has asked for that."""


class Bodies:
    """Used in the event loop. ``clock``: seconds, monotonic."""

    def __init__(self, budget: int = BUDGET_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget
        self.used = 0
        """Bytes of all bodies that are referred to; a part that several of them have counts once."""
        self.clock = clock
        self.makes = OneThread("cgstatd-answers")
        """Where what is long is made."""
        self._compresses = OneThread("cgstatd-gzip")
        self._held: dict[int, weakref.ref[Body]] = {}
        """The oldest first."""
        self._number = 0
        self._parts: dict[int, int] = {}
        """In how many bodies each part is, by its identity: two that are equal are still two."""

    def hold(self, *parts: bytes) -> Body:
        """A body, counted from now on."""
        body = Body(parts, self.clock())
        self._number += 1
        self._held[self._number] = weakref.ref(body)
        self.used += self.more(parts)
        for part in parts:
            self._parts[id(part)] = self._parts.get(id(part), 0) + 1
        weakref.finalize(body, self._release, self._number, parts).atexit = False
        return body

    def more(self, parts: Sequence[bytes]) -> int:
        """Bytes that a body of these parts would add to what is held: those of the parts that no other body has."""
        return sum(map(len, {id(part): part for part in parts if id(part) not in self._parts}.values()))

    async def compressed(self, body: Body) -> Body | None:
        """The same body as gzip, made once for all who ask; None: there is no room for it."""
        if body.compressing is None:
            if not self.admit(body.size // _LEAST_RATIO):
                return None
            body.compressing = asyncio.ensure_future(self._compress(body))
            body.compressing.add_done_callback(lambda done: _forget_failure(body, done))
        return await asyncio.shield(body.compressing)

    async def _compress(self, body: Body) -> Body:
        if body.size <= _AT_ONCE_BYTES:
            return self.hold(gzip(body.parts))
        return self.hold(await self._compresses.run(gzip, body.parts))

    def _release(self, number: int, parts: Sequence[bytes]) -> None:
        for part in parts:
            self._parts[id(part)] -= 1
            if not self._parts[id(part)]:
                del self._parts[id(part)]
                self.used -= len(part)
        self._held.pop(number, None)

    def admit(self, size: int) -> bool:
        """Whether there is room for so many bytes more. Where there is none, the clients that hold the oldest bodies
        are cut."""
        if self._fits(size):
            return True
        for held in list(self._held.values()):
            body = held()
            if body is None:
                continue
            if self.clock() - body.made < HOLD_SECONDS or self._fits(size):
                break
            for reader in tuple(body.readers):
                with suppress(AttributeError):  # TLS: closed already
                    reader.abort()
        return self._fits(size)

    def _fits(self, size: int) -> bool:
        return not self.used or self.used + size <= self.budget


def gzip(parts: Sequence[bytes]) -> bytes:
    """The parts as one member (RFC 1952), without a name and a time. Other threads go on meanwhile."""
    made = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    found = [piece for part in parts if (piece := made.compress(part))]
    return b"".join((*found, made.flush()))


def _forget_failure(body: Body, done: asyncio.Future[Body]) -> None:
    """The next client has it tried again. A failure refers to the body, and would hold its bytes."""
    if done.cancelled() or done.exception() is not None:
        body.compressing = None
