"""An agent's connector over a made-up host, and a Dockhand server that it calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from cgstatd.basics.destination import Destination
from cgstatd.basics.timing import Backoff
from cgstatd.dockhand.connector import Connector
from cgstatd.feed import engine_events
from cgstatd.feed.host_totals import HostTotals
from cgstatd.sampling import pass_work
from cgstatd.web.app import make_engine_app
from cgstatd.web.guard import Guard
from cgstatd.web.server.limits import Limits
from dockhand import TOKEN, Dockhand, ManualTime, dockhand
from fakehost import ENGINE_FILES, FakeHost, no_thread_left
from helpers import write_files
from wire import Server, serving

STREAMS = 4


@dataclass
class Caller:
    """The agent's side, and what it calls."""

    connector: Connector
    time: ManualTime
    dockhand: Dockhand
    destination: Destination
    server: Server
    """The same agent over HTTP."""
    guard: Guard
    token: Path
    waits: list[float] = field(default_factory=list)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is real time is short, and no thread outlives a test."""
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.05)
    monkeypatch.setattr(engine_events, "LOOK_SECONDS", 0.02)
    with no_thread_left():
        yield


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Two running containers and a stopped one."""
    host = FakeHost(tmp_path / "host")
    for name in ("a", "b"):
        host.add(name)
    host.on_disk("stopped")
    write_files(
        str(host.path),
        ENGINE_FILES
        | {
            "etc/machine-id": "0f" * 16 + "\n",
            "proc/uptime": "90061.23 1.00\n",
            "proc/meminfo": "MemTotal: 4096 kB\nMemAvailable: 1024 kB\n",
            "sys/devices/system/cpu/online": "0-1\n",
        },
    )
    return host


@asynccontextmanager
async def calling(host: FakeHost, folder: Path, found: Dockhand, url: str, ca: str = "") -> AsyncIterator[Caller]:
    """A connector that has not called yet; at the end it hangs up."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(host.sampler()))
        app = server.parts
        guard = Guard(1, limits=Limits(streams=2 * STREAMS + 8, streams_per_client=STREAMS))
        runner = web.AppRunner(make_engine_app(app, guard), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        time = ManualTime()
        backoff = Backoff(random=lambda: 0.5)
        connector = Connector(runner.server, app.engine, HostTotals(app.feed), time, backoff)
        stack.push_async_callback(connector.stop)
        token = folder / "token"
        token.write_text(f"{TOKEN}\n")
        yield Caller(connector, time, found, Destination(url, str(token), ca), server, guard, token)


@pytest.fixture
async def caller(host: FakeHost, tmp_path: Path) -> AsyncIterator[Caller]:
    """A connector and a server without TLS."""
    async with dockhand() as (found, url), calling(host, tmp_path, found, url) as caller:
        yield caller
