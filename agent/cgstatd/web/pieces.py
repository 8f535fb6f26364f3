"""A large answer, sent piece by piece: what waits for a client that reads slowly is one piece, not a copy of it all."""

from __future__ import annotations

from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from .limits import WRITE_BUFFER_BYTES

_PIECE_BYTES = 32 << 10


class Pieces(Payload):
    """Bytes that many answers may share."""

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """As text."""
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Each piece once the one before is on its way."""
        view = memoryview(self._value)
        for start in range(0, len(view), _PIECE_BYTES):
            await writer.write(view[start : start + _PIECE_BYTES])
            await writer.drain()


def in_pieces(response: web.StreamResponse) -> None:
    """Change an answer whose body is large."""
    body = response.body if isinstance(response, web.Response) else None
    if isinstance(body, bytes) and len(body) > WRITE_BUFFER_BYTES:
        cast(web.Response, response).body = Pieces(body)
