"""When the agent counts as ready and as alive, and what a reload takes over."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

import patience
from cgstatd.config import BadConfig, Settings
from cgstatd.config.changed import LIVE, RESTART, changed
from cgstatd.feed import reading_pass, sampling_thread, sampling_worker
from cgstatd.feed.shared_passes import Feed
from cgstatd.sampling.registry import ListingFailed
from cgstatd.sampling.sampler import Sampler
from cgstatd.service.background import Background
from cgstatd.service.composition import Composition
from cgstatd.service.systemd import Notifier
from cgstatd.web.guard import Guard
from cgstatd.web.server.gate import Gate
from cgstatd.web.server.limits import Limits


class Host:
    """A sampler that lists, fails or hangs."""

    def __init__(self) -> None:
        self.failure = ""
        self.hang = threading.Event()
        self.hang.set()
        self.hung = False
        """Whether a listing has begun that hangs."""
        self.registry = SimpleNamespace(arrived=None)

    def out_of_resources(self, error: Exception) -> None:
        """It never is."""

    def containers(self) -> list[object]:
        if not self.hang.is_set():
            self.hung = True
        self.hang.wait(20)
        if self.failure:
            raise ListingFailed(self.failure)
        return [object()]


class Notices(Notifier):
    """Remembers what would be sent."""

    def __init__(self, watchdog_seconds: float = 0.15) -> None:
        super().__init__({"NOTIFY_SOCKET": "/nowhere"})
        self.watchdog_seconds = watchdog_seconds
        self.sent: list[tuple[str, ...]] = []

    def send(self, *lines: str) -> None:
        self.sent.append(lines)

    def count(self, line: str) -> int:
        """How many notices have a line."""
        return sum(line in lines for lines in self.sent)


class Agent:
    """Remembers what it is told of a reload."""

    def __init__(self, host: Host) -> None:
        self.feed = Feed(cast(Sampler, host), freshness_seconds=0.5, baseline_seconds=0)
        self.gate, self.guard = Gate(Limits()), Guard(1)
        self.handed: list[Settings] = []
        self.read = 0

    def take_over(self, settings: Settings) -> None:
        """A reload's settings."""
        self.handed.append(settings)

    def read_again(self) -> None:
        """What a reload reads again."""
        self.read += 1


def beside(agent: Agent, notices: Notifier) -> Background:
    """The work beside its requests."""
    return Background(cast(Composition, agent), notices, Settings(baseline=0.0), "serving here")


@asynccontextmanager
async def running(host: Host, notices: Notices, agent: Agent | None = None) -> AsyncIterator[Background]:
    agent = agent or Agent(host)
    agent.feed.start()
    background = beside(agent, notices)
    background.start()
    try:
        yield background
    finally:
        host.hang.set()
        background.stop()
        agent.feed.stop()


async def until(notices: Notices, line: str, count: int = 1) -> None:
    while notices.count(line) < count:
        await asyncio.sleep(0.01)


async def test_it_is_ready_after_the_first_listing_and_then_alive() -> None:
    notices = Notices()
    async with running(Host(), notices):
        await until(notices, "WATCHDOG=1", 2)
    assert notices.sent[0] == ("READY=1", "STATUS=serving here, 1 container")
    assert notices.sent[-1][0] == "STOPPING=1"


async def test_it_is_not_ready_while_the_listing_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgstatd.service.background._RETRY_SECONDS", 0.02)
    host, notices = Host(), Notices()
    host.failure = "cannot list the containers: /sys/fs/cgroup: Permission denied"
    async with running(host, notices):
        await until(notices, f"STATUS={host.failure}", 2)
        assert notices.count("READY=1") == 0
        host.failure = ""
        await until(notices, "READY=1")


async def test_a_listing_that_fails_later_is_no_reason_for_a_restart() -> None:
    host, notices = Host(), Notices()
    async with running(host, notices):
        await until(notices, "WATCHDOG=1")
        host.failure = "cannot"
        await until(notices, "STATUS=cannot", 3)
    assert all("WATCHDOG=1" in lines for lines in notices.sent if "STATUS=cannot" in lines)


async def test_a_listing_that_hangs_gives_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.2)
    host, notices = Host(), Notices()
    async with running(host, notices):
        await until(notices, "WATCHDOG=1")
        host.hang.clear()
        await patience.until(lambda: host.hung)
        before = notices.count("WATCHDOG=1")
        await asyncio.sleep(1.0)
        assert notices.count("WATCHDOG=1") == before
        host.hang.set()
        await until(notices, "WATCHDOG=1", before + 1)


async def test_a_hung_thread_that_is_left_behind_is_no_reason_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.05)
    host, notices = Host(), Notices()
    async with running(host, notices) as background:
        await until(notices, "WATCHDOG=1")
        hung, begun = threading.Event(), []

        def hangs_at_first() -> None:  # begun anew, it finds the file taken
            begun.append(1)
            if len(begun) == 1:
                hung.wait(20)

        task = asyncio.create_task(background._feed.run(hangs_at_first))
        while len(begun) < 2:
            await asyncio.sleep(0.01)
        before = notices.count("WATCHDOG=1")
        await until(notices, "WATCHDOG=1", before + 2)
        hung.set()
        await task


async def test_a_crew_of_hung_threads_alone_gives_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.05)
    monkeypatch.setattr(sampling_thread, "MAX_THREADS", 1)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.2)
    host, notices = Host(), Notices()
    async with running(host, notices) as background:
        await until(notices, "WATCHDOG=1")
        hung, begun = threading.Event(), []

        def hangs() -> None:
            begun.append(1)
            hung.wait(20)

        tasks = [asyncio.create_task(background._feed.run(hangs)) for _ in range(3)]
        await patience.until(lambda: len(begun) == 2)  # each thread there may be has one
        before = notices.count("WATCHDOG=1")
        await asyncio.sleep(0.6)
        assert notices.count("WATCHDOG=1") == before
        hung.set()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_a_manager_nothing_is_looked_at() -> None:
    host = Host()
    host.hang.clear()
    agent = Agent(host)
    background = beside(agent, Notifier({}))
    background.start()
    await asyncio.sleep(0.05)
    assert agent.feed.sampling_thread._unfinished == set()
    background.stop()


# -- reload


def test_what_changed_is_named_in_the_order_of_the_settings() -> None:
    new = msgspec.structs.replace(Settings(), freshness=1.0, listen=("127.0.0.1:1",))
    assert changed(Settings(), new) == ["listen", "freshness"]
    assert set(msgspec.structs.asdict(Settings())) == LIVE | RESTART and not LIVE & RESTART


async def test_a_reload_takes_over_what_it_can_and_names_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    host, notices = Host(), Notices()
    agent = Agent(host)
    async with running(host, notices, agent) as background:
        await until(notices, "READY=1")
        new = msgspec.structs.replace(Settings(), freshness=2.0, env_id=7, baseline=0.0)
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                background.reload(lambda: new)
                logging.getLogger().addHandler(caplog.handler)  # configure() begins anew
        assert [each.freshness for each in agent.handed] == [2.0, 2.0] and agent.read == 2
        await until(notices, "READY=1", 3)
    said = [record.getMessage() for record in caplog.records]
    assert said[:2] == ["reloaded changed=freshness", "changed, and needs a restart: env_id"]
    assert said[2:] == ["reloaded changed=none", "changed, and needs a restart: env_id"]


async def test_what_a_reload_hands_on_has_what_needs_a_restart_as_it_was() -> None:
    host = Host()
    agent = Agent(host)
    async with running(host, Notices(), agent) as background:
        background.reload(lambda: Settings(baseline=0.0, max_streams=7, max_connections=9, metric_labels=("a",)))
    [settings] = agent.handed
    assert (settings.max_streams, settings.metric_labels) == (7, ("a",))
    assert settings.max_connections == Settings().max_connections


async def test_a_bad_configuration_changes_nothing_and_the_tokens_are_read_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host, notices = Host(), Notices()

    def load() -> Settings:
        raise BadConfig("config.toml:1: a\nconfig.toml:2: b")

    agent = Agent(host)
    async with running(host, notices, agent) as background:
        await until(notices, "READY=1")
        background.reload(load)
        assert agent.read == 1 and not agent.handed
        await until(notices, "READY=1", 2)
    assert "the configuration stays the old one: config.toml:1: a; config.toml:2: b" in caplog.text


async def test_a_new_log_level_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    configured: list[tuple[str, str]] = []
    monkeypatch.setattr("cgstatd.basics.logs.configure", lambda *arguments: configured.append(arguments))
    async with running(Host(), Notices()) as background:
        background.reload(lambda: Settings(baseline=0.0))
        background.reload(lambda: Settings(baseline=0.0, log_level="debug", log_format="json"))
    assert configured == [("debug", "json")]


async def test_the_cost_is_one_line_of_figures(caplog: pytest.LogCaptureFixture) -> None:
    async with running(Host(), Notices()) as background:
        with caplog.at_level(logging.INFO):
            background.say_cost()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("cost cpu_seconds=") and " overruns=0 stuck=0 connections=0 streams=0" in line
