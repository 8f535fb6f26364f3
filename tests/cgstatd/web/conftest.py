"""A real server on a loopback port, over a made-up host or a recorded one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cgstatd.auth import keyring
from cgstatd.feed import reading_pass, sampling_worker
from cgstatd.sampling import pass_work
from cgstatd.sampling.rates import CpuWindow
from cgstatd.web import guard as guard_module
from fakehost import FakeHost, Hang, HostClock, LiveRoot, no_thread_left, recorded_sampler
from helpers import UNIFIED
from secured import Tokens, guard
from wire import Server, serving


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hung read is noticed at once, a second reading comes soon, and no thread outlives a test."""
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.05)
    monkeypatch.setattr(CpuWindow, "MINIMUM_NS", 20_000_000)
    monkeypatch.setattr(reading_pass, "_ONLY_HUNG_SECONDS", 0.4)
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.1)
    monkeypatch.setattr(sampling_worker, "CHECK_SECONDS", 0.02)
    with no_thread_left():
        yield


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch, quick: None) -> Iterator[Hang]:
    """Makes readings hang; released at the end."""
    hang = Hang(monkeypatch)
    yield hang
    hang.release()


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Three running containers, a paused and a stopped one."""
    host = FakeHost(tmp_path)
    for name in ("a", "b", "c"):
        host.add(name)
    host.add("paused", frozen=True)
    host.on_disk("stopped", limit=128 << 20)
    return host


@pytest.fixture
def clock(host: FakeHost, monkeypatch: pytest.MonkeyPatch, quick: None) -> HostClock:
    """Of the made-up host."""
    clock = HostClock(host.root().clock())
    monkeypatch.setattr(LiveRoot, "clock", lambda _root, _path="": clock.now)
    return clock


@pytest.fixture
async def server(host: FakeHost, quick: None) -> AsyncIterator[Server]:
    """A server over the made-up host."""
    async with serving(host.sampler()) as server:
        yield server


@pytest.fixture
async def remembering(host: FakeHost, quick: None) -> AsyncIterator[Server]:
    """A server over the made-up host that keeps an hour."""
    for name in "abc":  # before its first round, which would remember that there is none
        (host.scope(name) / "memory.events").write_text("oom_kill 0\n")
    async with serving(host.sampler(), history=3600.0) as server:
        yield server


@pytest.fixture
async def secured_remembering(host: FakeHost, tokens: Tokens, quick: None) -> AsyncIterator[Server]:
    """The same that wants a token."""
    async with serving(host.sampler(), guard=guard(tokens, required=True), history=3600.0) as server:
        yield server


@pytest.fixture
def credentials_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens file is looked at at every request, and open streams soon after."""
    monkeypatch.setattr(keyring, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(guard_module, "CHECK_SECONDS", 0.05)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """A tokens file without tokens."""
    (tmp_path / "etc").mkdir(exist_ok=True)
    return Tokens(tmp_path / "etc")


@pytest.fixture
async def secured(host: FakeHost, tokens: Tokens, quick: None) -> AsyncIterator[Server]:
    """A server over the made-up host that wants a token."""
    async with serving(host.sampler(), guard=guard(tokens, required=True)) as server:
        yield server


@pytest.fixture
async def recorded_server(quick: None) -> AsyncIterator[Server]:
    """A server over the second reading of a recorded host, at the real time."""
    async with serving(recorded_sampler(UNIFIED)) as server:
        yield server
