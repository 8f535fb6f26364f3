"""A server may say 100 Continue before its answer (RFC 9110, 15.2): a few times, not for as long as it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MOST = 8
_SWITCHING = 101
"""An answer: the connection is a WebSocket from there on."""


class TooManyInterim(aiohttp.ClientError):
    """The server does not come to its answer."""


class FewInterim(aiohttp.ClientResponse):
    """As ``response_class`` of a session: aiohttp itself reads interim answers without end, and while they are
    there lets nothing else run."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read up to the answer's headers. Raises TooManyInterim, and what aiohttp raises."""
        protocol: Any = connection.protocol
        read, found = protocol.read, 0

        async def bounded() -> Any:
            nonlocal found
            message, payload = await read()
            found += 100 <= message.code < 200 and message.code != _SWITCHING
            if found > MOST:
                raise TooManyInterim(f"more than {MOST} interim answers, and no other")
            return message, payload

        protocol.read = bounded
        try:
            return await super().start(connection)
        finally:
            del protocol.read
