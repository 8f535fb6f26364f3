"""What a connection too many is told."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import cast

from .failure import raw_failure
from .gate import Gate
from .limits import RETRY_SECONDS

_REFUSAL_SECONDS = 2.0
TOO_MANY = raw_failure(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections", Retry_After=str(RETRY_SECONDS))


class Refusal(asyncio.Protocol):
    """A connection too many: 503 once it has asked (an answer to nothing is lost to some clients), then the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gate: Gate) -> None:
        self._loop, self._gate, self._counted = loop, gate, True
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It gets a moment to ask."""
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(_REFUSAL_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Answer 503, whatever it asked."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(TOO_MANY)
            self._transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is closed."""
        self.count_out()
        if self._timer is not None:
            self._timer.cancel()

    def count_out(self) -> None:
        """Count it out, once, as for the others."""
        if self._counted:
            self._counted = False
            self._gate.refusing -= 1
