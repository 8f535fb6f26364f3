"""Asks an agent every cell of the authorisation matrix (matrix.py).

``python -m attacks.asked_matrix`` (tools/attacks/README.md has its PYTHONPATH) prints what was answered, and what was
expected where that is something else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from attacks.matrix import ASKED_WITH, BY_COOKIE, ENVIRONMENTS, HELD, NEEDS, OWN, PERMISSIONS, Shown, expected
from cgstatd.auth import store
from fakehost import FakeHost
from secured import Tokens, guard
from wire import Connection, Server, serving


@dataclass(frozen=True)
class Cell:
    """One request and its answer."""

    route: str
    shown: Shown
    asked: str
    expected: int
    seen: int
    tells: bool
    """Whether a container or the host's name is in the answer."""

    @property
    def right(self) -> bool:
        """Answered as expected, and told nothing where it was refused."""
        return self.seen == self.expected and not (self.tells and self.expected != 200)


class Client:
    """Asks from another address each time, so that the fifteenth refusal is no other than the first."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._addresses = (f"127.0.{a}.{b}" for a in range(10, 250) for b in range(1, 250))

    async def ask(self, route: str, shown: Shown, asked: str) -> tuple[int, bytes]:
        """Status and body; of what stays open the status alone."""
        method, _, path = route.partition(" ")
        value = ENVIRONMENTS[asked].replace(" ", "%20")
        target = path.replace("{id}", "a").replace("{env}", value or str(OWN)).replace("{name}", "nothing")
        target += ASKED_WITH.get(path, "")
        if value and "{env}" not in path:
            target += f"{'&' if '?' in target else '?'}env={value}"
        body = json.dumps({"username": "x", "password": shown.secret}) if path.endswith("/login") else ""
        content = (f"Content-Length: {len(body)}", "Content-Type: application/json") if body else ()
        headers = content if path.endswith("/login") else shown.header()
        async with self._connection() as connection, asyncio.timeout(60):
            connection.send(target, *headers, "Connection: close", method=method)
            connection.raw(body.encode())
            if path.endswith("/follow"):
                return (await connection.head()).status, b""
            answer = await connection.answer()
            if b"event: error" in answer.body:
                return 404, answer.body
            return answer.status, answer.body

    async def login(self, secret: str) -> str:
        """The cookie for a token."""
        async with self._connection() as connection, asyncio.timeout(60):
            body = json.dumps({"username": "x", "password": secret})
            content = (f"Content-Length: {len(body)}", "Content-Type: application/json")
            connection.send("/api/auth/login", *content, "Connection: close", method="POST")
            connection.raw(body.encode())
            return (await connection.answer()).headers["set-cookie"].partition(";")[0]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        where = (next(self._addresses), 0)
        made = Connection(*await asyncio.open_connection("127.0.0.1", self._server.port, local_addr=where))
        try:
            yield made
        finally:
            await made.close()


def _tokens(tokens: Tokens) -> Iterator[Shown]:
    yield Shown("none")
    yield Shown("wrong", secret="cgs_" + "A" * 43)
    for (kind, env), (name, allow) in itertools.product(HELD.items(), PERMISSIONS.items()):
        secret = store.add(tokens.path, f"{kind} {name}".replace(" ", "-"), env, allow)
        yield Shown(kind, tuple(allow), secret)


async def matrix(server: Server, tokens: Tokens) -> list[Cell]:
    """Every cell, each with the token itself and with the cookie that it is exchanged for."""
    client, cells = Client(server), []
    shown = list(_tokens(tokens))
    keyring = server.parts.callers.keyring
    assert keyring is not None
    keyring.refresh(now=True)
    for each in [*shown, *[Shown(s.kind, s.allow, s.secret, await client.login(s.secret)) for s in shown if s.known]]:
        for route, asked in itertools.product(NEEDS, ENVIRONMENTS):
            if each.cookie and route not in BY_COOKIE:
                continue
            status, body = await client.ask(route, each, asked)
            tells = b"lab/busybox" in body or b"docker-" in body or b"networkRx" in body or b"hostname" in body
            cells.append(Cell(route, each, asked, expected(route, each, asked), status, tells))
    return cells


def table(cells: list[Cell]) -> str:
    """A line for each route and token, a column for each environment that is asked for."""
    lines = [f"{'ROUTE':<34}{'TOKEN':<44}" + "".join(f"{'env=' + name:<16}" for name in ENVIRONMENTS)]
    for (route, shown), found in itertools.groupby(
        sorted(cells, key=lambda c: list(NEEDS).index(c.route)), key=lambda c: (c.route, c.shown)
    ):
        names = ", ".join(each.partition(":")[0] for each in shown.allow)
        who = f"{shown.kind}{': ' if names else ''}{names}{' (cookie)' if shown.cookie else ''}"
        said = [str(c.seen) if c.right else f"{c.seen}, not {c.expected}" for c in found]
        lines.append(f"{route:<34}{who:<44}" + "".join(f"{text:<16}" for text in said).rstrip())
    wrong = sum(not cell.right for cell in cells)
    return "\n".join([*lines, "", f"{len(cells)} cells, {wrong} other than expected"])


async def play() -> list[Cell]:
    """The matrix of an agent of environment 1 with three containers."""
    with tempfile.TemporaryDirectory() as folder:
        host = FakeHost(Path(folder) / "host")
        for name in ("a", "b", "c"):
            host.add(name)
        (Path(folder) / "etc").mkdir()
        tokens = Tokens(Path(folder) / "etc")
        async with serving(host.sampler(), env=OWN, guard=guard(tokens, required=True), history=3600.0) as server:
            return await matrix(server, tokens)


if __name__ == "__main__":
    logging.disable()  # each of these refusals is one that the agent logs
    found = asyncio.run(play())
    print(table(found))
    sys.exit(any(not cell.right for cell in found))
