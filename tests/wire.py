"""A raw HTTP client that sees every byte, and the agent's server in this process on a port the kernel chooses."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

import forked
from cgstatd.config import Settings
from cgstatd.feed.shared_passes import Feed
from cgstatd.sampling.sampler import Sampler
from cgstatd.service.composition import Composition
from cgstatd.web.app import make_app
from cgstatd.web.guard import Guard
from cgstatd.web.parts import Parts
from cgstatd.web.server.gate import Gate
from cgstatd.web.server.limits import Limits
from cgstatd.web.server.listener import Listener, bind
from cgstatd.web.server.tls import Certificates
from forked import Forked

STREAM = "/api/containers/stats/stream"
ALL = "/api/containers/stats"
EVENT = re.compile(rb"event: (stat|error|done)\ndata: (\{[^\r\n]*\})\n\n")
KEEPALIVE = b": keepalive\n\n"
PADDING = re.compile(rb": *\n\n")
"""The comments that fill a slot (outputs/stream_slots.py)."""


@dataclass
class Answer:
    """One response; ``chunks`` as they were framed, with the time each arrived after the request."""

    status: int
    version: str
    headers: dict[str, str]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers_after: float = 0.0
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        """The body, which says that it is JSON."""
        assert self.headers["content-type"] == "application/json", self.headers
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """(event, data) of every chunk; a chunk that is not exactly one event or one comment fails."""
        found = []
        for chunk in self.chunks:
            if chunk == KEEPALIVE:
                continue
            match = EVENT.fullmatch(chunk)
            assert match, chunk
            found.append((match[1].decode(), json.loads(match[2])))
        return found

    @property
    def stats(self) -> dict[str, Any]:
        """name -> data of the ``stat`` events."""
        return {data["name"]: data for name, data in self.events if name == "stat"}


class Connection:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sent = time.monotonic()

    def send(self, target: str | bytes, *headers: str, method: str = "GET", version: str = "1.1") -> None:
        """Send one request; the target goes out byte by byte as it is."""
        raw = target if isinstance(target, bytes) else target.encode()
        lines = [f"{method} ".encode() + raw + f" HTTP/{version}".encode(), b"Host: localhost"]
        self.raw(b"\r\n".join([*lines, *(h.encode() for h in headers), b"", b""]))

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self.sent = time.monotonic()
        self.writer.write(data)

    async def head(self) -> Answer:
        """Status line and headers of the next answer."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        version, code, _ = status.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value
        return Answer(int(code), version, headers, headers_after=time.monotonic() - self.sent)

    async def chunk(self, answer: Answer) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int((await self.reader.readuntil(b"\r\n")).rstrip(b"\r\n"), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        if data and not PADDING.fullmatch(data):
            answer.chunks.append(data)
            answer.times.append(time.monotonic() - self.sent)
        return data

    async def answer(self, *, method: str = "GET") -> Answer:
        """The whole next answer."""
        answer = await self.head()
        if method == "HEAD" or answer.status == 204:
            pass
        elif answer.headers.get("transfer-encoding") == "chunked":
            while await self.chunk(answer):
                pass
            answer.body = b"".join(answer.chunks)
        elif "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        else:
            answer.body = await self.reader.read()
        answer.seconds = time.monotonic() - self.sent
        return answer

    async def closed(self) -> bool:
        """Wait until the server closes the connection: whether it does without another byte."""
        return await self.reader.read() == b""

    async def close(self) -> None:
        """Go away."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Server:
    """A server in this process."""

    port: int
    sampler: Sampler
    agent: Composition
    runner: web.AppRunner

    @property
    def parts(self) -> Parts:
        """What the handlers ask."""
        return self.agent.parts

    @property
    def feed(self) -> Feed:
        """Its readings."""
        return self.agent.feed

    @property
    def gate(self) -> Gate:
        """Its connections."""
        return self.agent.gate

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection that is closed at the end."""
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield connection
        finally:
            await connection.close()

    def fresh_for(self, seconds: float) -> None:
        """A reading is shared for so long, however busy the machine is; nothing is read between two of them."""
        self.feed.retime(freshness_seconds=seconds, baseline_seconds=0.0, max_cpu_percent=0.0)

    async def ask(self, target: str | bytes, *headers: str, method: str = "GET", version: str = "1.1") -> Answer:
        """One request on a connection of its own."""
        async with self.connection() as connection:
            connection.send(target, *headers, method=method, version=version)
            return await connection.answer(method=method)


class Keeping(NamedTuple):
    """What is kept of the past: seconds in memory, and below a directory."""

    seconds: float = 0.0
    interval_seconds: float = 10.0
    directory: str = ""
    directory_seconds: float = 604_800.0


def settings(env: int = 1, freshness: float = 0.5, baseline: float = 0.0, history: float | Keeping = 0.0) -> Settings:
    """Of an agent that does nothing while nobody asks, and as much as it is asked."""
    keeping = history if isinstance(history, Keeping) else Keeping(history)
    return Settings(
        env_id=env,
        freshness=freshness,
        baseline=baseline,
        max_cpu=0.0,
        history=keeping.seconds,
        history_interval=keeping.interval_seconds,
        history_dir=keeping.directory,
        history_keep=keeping.directory_seconds,
    )


@asynccontextmanager
async def serving(
    sampler: Sampler,
    *,
    env: int = 1,
    freshness: float = 0.5,
    baseline: float = 0.0,
    guard: Guard | None = None,
    limits: Limits | None = None,
    tls: Certificates | None = None,
    history: float | Keeping = 0.0,
    prepare: Callable[[Composition], None] | None = None,
    port: int = 0,
) -> AsyncIterator[Server]:
    """The agent on a loopback port, 0: any; ``prepare`` sees it before it starts."""
    guard = guard or Guard(env)
    agent = Composition(sampler, settings(env, freshness, baseline, history), guard, Gate(limits or Limits()), tls)
    if prepare is not None:
        prepare(agent)
    app = make_app(agent.parts, guard)
    app.on_shutdown.append(lambda _: agent.stop())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    try:
        await runner.setup()
        agent.start(watch=False)
        await Listener(runner, bind("127.0.0.1", port)[0], agent.gate, tls).start()
        yield Server(runner.addresses[0][1], sampler, agent, runner)
    finally:
        await runner.cleanup()
        sampler.close()


ENVIRONMENT = forked.ENVIRONMENT
COMMAND = (sys.executable, "-m", "cgstatd")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        process = Forked(arguments, ENVIRONMENT | environment, out)
        _, err = process.communicate()
        out.seek(0)
        return subprocess.CompletedProcess(arguments, process.wait(), out.read(), err)


@dataclass
class Agent:
    """``cgstatd serve`` as a process of its own."""

    process: Forked | subprocess.Popen[str]
    serving: str
    """The line that says where it listens."""

    @property
    def port(self) -> int:
        """Of the only TCP address."""
        found = re.search(r"https?://\S+:(\d+)", self.serving)
        assert found, self.serving
        return int(found[1])

    def says(self, *words: str) -> str:
        """The next line of the log that has these words, others skipped."""
        assert self.process.stderr is not None
        while not all(word in (line := self.process.stderr.readline()) for word in words):
            assert line, "it has ended"
        return line

    def reload(self, config: Path, text: str) -> str:
        """Write the configuration and have it read; the line of the log that says what was taken over."""
        config.write_text(text)
        self.process.send_signal(signal.SIGHUP)
        return self.says("reloaded")

    def end(self) -> tuple[int, str]:
        """Wait for its end: (exit code, the rest of its standard error)."""
        _, err = self.process.communicate()
        return self.process.wait(), err


@contextmanager
def agent(*arguments: str, command: tuple[str, ...] = COMMAND) -> Iterator[Agent]:
    """Start ``cgstatd serve`` and wait until it listens."""
    process: Forked | subprocess.Popen[str]
    if command == COMMAND:
        process = Forked(["serve", *arguments], ENVIRONMENT)
    else:
        process = subprocess.Popen(
            [*command, "serve", *arguments], stderr=subprocess.PIPE, env=ENVIRONMENT, encoding="utf-8", cwd="/"
        )
    assert process.stderr is not None
    try:
        line = ""
        for line in process.stderr:
            if "serving " in line:
                break
        assert "serving " in line, line
        yield Agent(process, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()
