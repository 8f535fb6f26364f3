"""A large answer, sent piece by piece: what waits for a client that reads slowly is one piece, not a copy of it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from ...feed.answer_bodies import Body, Reader
from .limits import WRITE_BUFFER_BYTES

PIECE_BYTES = 32 << 10


def slices(data: bytes) -> Iterator[memoryview]:
    """The pieces of some bytes."""
    view = memoryview(data)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))


class Pieces(Payload):
    """A body that many answers may share."""

    def __init__(self, body: Body) -> None:
        super().__init__(body)
        self._body: Body | None = body
        self._size = body.size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """As text."""
        return b"".join(self._body.parts if self._body else ()).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Each piece once the one before is on its way."""
        body, transport = self._body, cast(Reader | None, getattr(writer, "transport", None))
        if body is None or transport is None:
            raise ConnectionResetError("the client went away")
        self._body = self._value = None  # the bytes are released at the end, even if the answer itself is not
        body.readers.add(transport)
        try:
            for part in body.parts:
                for piece in slices(part):
                    await writer.write(piece)
                    await writer.drain()
        finally:
            body.readers.discard(transport)


def in_pieces(response: web.StreamResponse) -> None:
    """Change an answer whose body is large."""
    body = response.body if isinstance(response, web.Response) else None
    if isinstance(body, bytes) and len(body) > WRITE_BUFFER_BYTES:
        cast(web.Response, response).body = Pieces(Body([body]))
