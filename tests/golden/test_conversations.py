"""What real clients sent (`conversations/`, recorded by tools/clients/record.py), sent again to an agent over the same
host: the same status, the same type, the same top-level keys.

The requests of a Dockhand server are asked over its edge connection, too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from cgstatd.basics.destination import Destination
from cgstatd.dockhand.connector import Connector
from cgstatd.feed.host_totals import HostTotals
from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.web.app import make_engine_app
from cgstatd.web.guard import Guard
from cgstatd.web.server.gate import Gate
from cgstatd.web.server.limits import Limits
from cgstatd.web.server.listener import Listener, UnixSocket
from conversation import PORT, Exchange, read, said
from dockhand import TOKEN, dockhand
from helpers import DEMO
from recordedhosts import recorded_host
from wire import Answer, Connection, Server, serving

KEPT = sorted(Path(__file__).with_name("conversations").glob("*.txt"))
CLIENTS = ("aiodocker", "docker-cli", "docker-compose", "docker-py", "dockerode", "dockhand-pages", "dockhand-server",
           "prometheus")  # fmt: skip


class Replayed:
    """An agent's port and its docker socket."""

    def __init__(self, server: Server, engine: web.AppRunner, socket: Path) -> None:
        self.server, self.engine, self._socket = server, engine, socket

    async def answer(self, exchange: Exchange) -> str:
        """What is said to a request now."""
        if exchange.over == PORT:
            opened = asyncio.open_connection("127.0.0.1", self.server.port)
        else:
            opened = asyncio.open_unix_connection(str(self._socket))
        connection = Connection(*await opened)
        try:
            async with asyncio.timeout(60):
                connection.raw(exchange.request)
                if not exchange.stays_open:
                    found = await connection.answer(method=exchange.method)
                    return said(found.status, found.headers, found.body, whole=True)
                found = await connection.head()
                return said(found.status, found.headers, await self._first(connection, found, exchange), whole=False)
        finally:
            await connection.close()

    @staticmethod
    async def _first(connection: Connection, found: Answer, exchange: Exchange) -> bytes:
        """As much as the client had read: nothing, or a first object."""
        return await connection.chunk(found) if "," in exchange.said else b""


@pytest.fixture
async def replayed(tmp_path: Path) -> AsyncIterator[Replayed]:
    """Over the demo's host."""
    async with serving(open_host(open_roots(recorded_host(DEMO))[-1], HostOptions())) as server:
        app = server.parts
        engine = web.AppRunner(make_engine_app(app, Guard(1)), access_log=None, shutdown_timeout=1.0)
        await engine.setup()
        try:
            socket = tmp_path / "docker.sock"
            await Listener(engine, UnixSocket(str(socket)), Gate(Limits())).start()
            yield Replayed(server, engine, socket)
        finally:
            await engine.cleanup()


def test_each_client_has_a_conversation() -> None:
    assert tuple(path.stem for path in KEPT) == CLIENTS
    for path in KEPT:
        exchanges = read(path.read_text())
        assert len(exchanges) == path.read_text().count("\n-> ") > 2, path


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_is_answered_as_it_was(replayed: Replayed, client: str) -> None:
    for exchange in read((KEPT[0].parent / f"{client}.txt").read_text()):
        assert await replayed.answer(exchange) == exchange.said, exchange.head


async def test_a_dockhand_server_is_answered_over_its_own_connection(replayed: Replayed, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    app = replayed.server.parts
    connector = Connector(app, HostTotals(app.feed))
    async with dockhand() as (found, url), asyncio.timeout(60):
        await connector.tell(Destination(url, str(tmp_path / "token"), ""))
        link = await found.link()
        for exchange in read((KEPT[0].parent / "dockhand-server.txt").read_text()):
            method, path, _ = exchange.head.splitlines()[0].split(" ")
            if path.startswith("/_hawser/"):
                continue  # of the standard agent alone
            answer = await link.ask(path, method)
            headers = {name.lower(): value for name, value in answer["headers"].items()}
            body = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
            assert said(answer["statusCode"], headers, body.encode(), whole=True) == exchange.said, path
        await connector.stop()
