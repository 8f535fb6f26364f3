"""A server that says 100 Continue for as long as it likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from cgstatd.basics.destination import Destination
from cgstatd.basics.interim_answers import MOST
from cgstatd.dockhand.link import connect
from cgstatd.notify.delivery import Failed, deliver

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@asynccontextmanager
async def saying(each: bytes, times: int, last: bytes = b"") -> AsyncIterator[tuple[str, list[int]]]:
    """A server's address, and how many bytes of each connection it was rid of before it was cut."""
    written: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        written.append(0)
        try:
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(times):
                writer.write(each)
                await writer.drain()
                written[-1] += len(each)
            writer.write(last)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", written


@pytest.mark.parametrize("each", [CONTINUE, b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 199 x\r\nA: b\r\n\r\n"])
async def test_a_webhook_that_never_comes_to_its_answer_is_left(each: bytes) -> None:
    async with saying(each * 100, 1_000_000) as (address, written):
        with pytest.raises(Failed, match="more than 8 interim answers"):
            await deliver(Destination(f"http://{address}/"), b"{}")
        assert written[0] < 16 << 20  # what the kernel takes before anybody has read it, not a minute's worth


async def test_a_few_are_nothing_to_complain_of() -> None:
    last = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with saying(CONTINUE, MOST, last) as (address, _):
        await deliver(Destination(f"http://{address}/"), b"{}")
    async with saying(CONTINUE, MOST + 1, last) as (address, _):
        with pytest.raises(Failed, match="interim"):
            await deliver(Destination(f"http://{address}/"), b"{}")


async def test_a_dockhand_server_is_left_too() -> None:
    async with saying(CONTINUE * 100, 1_000_000) as (address, _):
        with pytest.raises(aiohttp.ClientError, match="interim"):
            async with connect(Destination(f"ws://{address}"), b"{}"):
                pass
