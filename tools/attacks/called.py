"""A Dockhand server that means harm, on the connection that the agent has opened to it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import WSMsgType

from attacks.arena import CONTAINERS, TreeArena, arena, often, tally
from cgstatd.dockhand.messages import MOST_BYTES
from cgstatd.outputs.engine.system import READ_ONLY
from dockhand import TOKEN, Dockhand, Link, dockhand

T = TypeVar("T")
SECONDS = 600.0
OTHERS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "")
TRICKS = (
    "", "containers/json", "//containers/json", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/shadow", "http://127.0.0.1:1/",
    "/containers/%00/json", "/containers/a%2f..%2f/json", "/v1.45/../healthz", "/metrics", "/api/containers/stats",
    "/healthz", "/x\r\nX: y", "/_ping HTTP/1.0\r\n\r\nGET /metrics", "/" + "a" * 70_000, "*", "?", "#",
)  # fmt: skip


@dataclass
class CallingArena(TreeArena):
    """An agent that calls a server of the attacker's."""

    server: Dockhand = field(kw_only=True)
    loop: asyncio.AbstractEventLoop = field(kw_only=True)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)


@contextmanager
def calling_arena(folder: Path, containers: int = CONTAINERS) -> Iterator[CallingArena]:
    """An agent over a made-up host, and the server that its settings name."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        entered = asyncio.run_coroutine_threadsafe(stack.enter_async_context(dockhand()), loop)
        found, url = entered.result(SECONDS)
        (folder / "token").write_text(TOKEN)
        more = ("--dockhand-url", url, "--dockhand-token-file", f"{folder}/token")
        with arena(folder, *more, containers=containers) as a:
            yield CallingArena(
                a.port, a.pid, a.tokens, a.secret, a.folder, a.good, a.log, None, host=a.host, server=found, loop=loop
            )
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def hostile_server(a: CallingArena) -> str:
    """a Dockhand server that means harm: other methods, paths with tricks, 1,000 unknown messages, pings and
    requests at once on the connection that the agent has opened; then a frame of 64 MiB, and others that are not of the
    protocol
    """
    return a.run(_attack(a.server, a.good))


async def _attack(server: Dockhand, good: str) -> str:
    link = await server.link()
    found: Counter[int] = Counter()
    for method in OTHERS:
        for path in ("/containers/json", f"/containers/{good}/kill", "/images/create?fromImage=x"):
            answer = await link.ask(path, method)
            found[answer["statusCode"]] += 1
            assert answer["statusCode"] == 403 and READ_ONLY in answer["body"], (method, path, answer["statusCode"])
    for path in TRICKS:
        answer = await link.ask(path)
        found[answer["statusCode"]] += 1
        assert answer["statusCode"] in (400, 403, 404), (path[:80], answer["statusCode"])
    times = often(1000)
    for number in range(times):
        await link.send(type=f"future{number}", requestId="x", path=["x"])
        await link.send(type="ping", timestamp=number)
    await link.got("pong", count=times)
    for number in range(times):
        await link.send(type="request", requestId=f"f{number}", method="GET", path=f"/containers/{good}/json")
    flood = await link.got("response", lambda each: each["requestId"].startswith("f"), count=times)
    found.update(each["statusCode"] for each in flood)
    ended = [await _ended(link, b" " * (64 << 20))]
    for number, frame in enumerate((b"[" * MOST_BYTES, b'{"type":"request","requestId":7}'), 2):
        ended.append(await _ended(await server.link(number), frame))
    await (await server.link(4)).ask("/_ping")
    return f"{tally(found)}; {len(ended)} frames ended it, each time it came back"


async def _ended(link: Link, frame: bytes) -> int:
    assert link.socket._writer is not None
    with suppress(ConnectionError):
        await link.socket._writer.send_frame(frame, WSMsgType.TEXT)
    return await link.closed()
