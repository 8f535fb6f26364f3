"""An agent's connector over a made-up host, and a Dockhand server that it calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cgstatd.basics.destination import Destination
from cgstatd.basics.timing import Backoff
from cgstatd.dockhand import answering, session
from cgstatd.dockhand.connector import Connector
from cgstatd.feed import engine_events
from cgstatd.feed.host_totals import HostTotals
from cgstatd.sampling import pass_work
from dockhand import TOKEN, Dockhand, Link, ManualTime, dockhand
from fakehost import ENGINE_FILES, FakeHost, no_thread_left
from helpers import write_files
from wire import Server, serving

STREAMS = 4


class Noted(answering.Answering):
    """Is remembered."""

    made: ClassVar[list[Noted]] = []

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.made.append(self)


@dataclass
class Caller:
    """The agent's side, and what it calls."""

    connector: Connector
    time: ManualTime
    dockhand: Dockhand
    destination: Destination
    server: Server
    """The same agent over HTTP."""
    token: Path
    waits: list[float] = field(default_factory=list)

    @property
    def streams(self) -> int:
        """How many are open."""
        return sum(each.streams for each in Noted.made)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is real time is short, and no thread outlives a test."""
    monkeypatch.setattr(answering, "MOST_STREAMS", STREAMS)
    monkeypatch.setattr(session, "Answering", Noted)
    Noted.made.clear()
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
        time = ManualTime()
        backoff = Backoff(random=lambda: 0.5)
        connector = Connector(app, HostTotals(app.feed), time, backoff)
        stack.push_async_callback(connector.stop)
        token = folder / "token"
        token.write_text(f"{TOKEN}\n")
        yield Caller(connector, time, found, Destination(url, str(token), ca), server, token)


@pytest.fixture
async def caller(host: FakeHost, tmp_path: Path) -> AsyncIterator[Caller]:
    """A connector and a server without TLS."""
    async with dockhand() as (found, url), calling(host, tmp_path, found, url) as caller:
        yield caller


@pytest.fixture
async def link(caller: Caller) -> Link:
    """A connection."""
    await caller.connector.tell(caller.destination)
    return await caller.dockhand.link()
