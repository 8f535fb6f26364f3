"""A made-up host on which a story is played, and an agent over it whose clocks stand until the story moves them.

All that the story's golden files know of the agent's inside is in this module: how its clocks are set, and how a round
is made at a given time. What is asked goes over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cgstatd.basics.destination import Destination
from cgstatd.basics.timing import Backoff
from cgstatd.feed import sampling_worker
from cgstatd.feed.follow import follower as follower_module
from cgstatd.feed.history import disk as disk_module
from cgstatd.feed.history import recorder as recorder_module
from cgstatd.notify.webhook import LOOK_SECONDS, Webhook
from cgstatd.recording.recorded_root import Reading
from cgstatd.sampling import history_work, pass_work
from cgstatd.sampling.open_host import HostOptions, open_host
from dockhand import ManualTime
from fakehost import ENGINE_FILES, FakeHost, container_id
from helpers import NET_DEV, write_files
from kepthistory import TimedRoot, Times
from webhook import Hook, webhook
from wire import Connection, Keeping, Server, serving

BEGAN_MS = 4_070_908_800_000
"""2099-01-01: later than any file of the story is made."""
INTERVAL = 10.0
_HUNG_SECONDS = 600.0
_MORE = {
    "proc/sys/kernel/random/boot_id": "0f0e0d0c-1111-4222-8333-444455556666\n",
    "proc/loadavg": "1.50 1.95 0.72 4/286 2936\n",
    "proc/meminfo": "".join(
        f"{name}: {kib} kB\n"
        for name, kib in (
            ("MemTotal", 4 << 20),
            ("MemAvailable", 3 << 20),
            ("SwapTotal", 1 << 20),
            ("SwapFree", 1 << 19),
        )
    ),
}
Change = Callable[["PlayedHost"], None]


class StoryTime(ManualTime):
    """The webhook's clock."""

    def __init__(self, times: Times) -> None:
        super().__init__()
        self._times = times

    def time_ms(self) -> int:
        """The story's."""
        return self._times.time_ms


class PlayedHost:
    """The host, as the story changes it."""

    def __init__(self, path: Path) -> None:
        self.files = FakeHost(path)
        write_files(str(path), {**ENGINE_FILES, **_MORE})
        self.times = Times()
        self.times.time_ms = BEGAN_MS

    def root(self) -> TimedRoot:
        """As an agent reads it."""
        root = TimedRoot(str(self.files.path), Reading(monotonic_ns=0, time_ms=0))
        root.times = self.times
        return root

    def later(self, seconds: float, change: Change) -> None:
        """Time goes by, then something happens."""
        self.times.on(seconds)
        change(self)

    def now(self, seconds: float = 0.0) -> str:
        """As Docker writes it; ``seconds``: before now."""
        return datetime.fromtimestamp(self.times.time_ms / 1000 - seconds, UTC).isoformat().replace("+00:00", "Z")

    def busy(self, ticks: int, idle: int) -> None:
        """What /proc/stat says of the host."""
        text = f"cpu  {ticks} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nbtime 4070900000\n"
        (self.files.path / "proc/stat").write_text(text)

    def add(self, name: str, **figures: Any) -> None:
        """A container starts."""
        self.files.add(name, **figures)
        for file, content in {"memory.events": "oom_kill 0\n", "memory.peak": f"{8 << 20}\n"}.items():
            (self.files.scope(name) / file).write_text(content)
        self.record(name, StartedAt=self.now(), Created=self.now(0.5))

    def use(self, name: str, *, usec: int, memory: int, blocks: int = 0, network: int = 0) -> None:
        """What a container has used since it began, in bytes but for its CPU time."""
        self.files.burn(name, usec)
        self.files.set(name, "memory.current", f"{memory}\n")
        self.files.set(name, "io.stat", f"8:0 rbytes={blocks} wbytes={2 * blocks} rios=1 wios=1 dbytes=0 dios=0\n")
        net = self.files.path / f"proc/{self.pid(name)}/net/dev"
        net.write_text(NET_DEV.format(rx=network, tx=3 * network, lo=5))

    def file(self, name: str, file: str, text: str) -> None:
        """A file of a container's cgroup."""
        (self.files.scope(name) / file).write_text(text)

    def record(self, name: str, **state: Any) -> None:
        """What Docker writes of a container."""
        folder = self.files.path / "var/lib/docker/containers" / container_id(name)
        path = folder / "config.v2.json"
        found = json.loads(path.read_text())
        for key in ("Created", "Name", "RestartCount"):
            if key in state:
                found[key] = state.pop(key)
        if "Health" in state:
            found["Config"]["Healthcheck"] = {"Interval": 10**18}
        found["State"] |= state
        new = folder / "new"
        new.write_text(json.dumps(found))
        new.chmod(0o600)
        new.rename(path)

    def end(self, name: str, code: int, *, removed: bool = False, **state: Any) -> None:
        """A container ends. Its directory is kept elsewhere, so that no other has its inode."""
        self.record(name, **{"FinishedAt": self.now(), "ExitCode": code, "Running": False, "Pid": 0}, **state)
        scope = self.files.scope(name)
        scope.rename(self.files.path / f"ended-{scope.stat().st_ino}")
        if removed:
            shutil.rmtree(self.files.path / "var/lib/docker/containers" / container_id(name))

    def pid(self, name: str) -> int:
        """Of its process."""
        return int((self.files.scope(name) / "cgroup.procs").read_text())


class Played:
    """The agent, and its clients: one that follows, one of the Engine API's events, one webhook."""

    def __init__(self, host: PlayedHost, server: Server, hook: Hook, notes: Webhook, clock: StoryTime) -> None:
        self.host, self.server, self.hook = host, server, hook
        self._notes, self._clock = notes, clock
        self.followed: list[str] = []
        self.told: list[str] = []

    async def begin(self, follower: Connection, events: Connection) -> None:
        """The clients come; the first round."""
        self._follower, self._events = follower, events
        follower.send("/api/containers/stats/follow?interval=60")
        self._following = await follower.head()
        await self._until_round()
        events.send("/events")
        self._happenings = await events.head()
        await self._point()
        await self._notes.tell(Destination(self.hook.url, "", ""))
        await self._quiet()

    async def step(self, what: str, seconds: float, change: Change, events: int) -> None:
        """Time goes by, something happens, and a round is made. ``events``: what /events has to tell of it."""
        self._tick()
        await self.server.feed.run(lambda: self.host.later(seconds, change))
        for each in (self.followed, self.told):
            each.append(f"\n# {seconds:g} s later {what}")
        for container in self.server.sampler.containers():
            container.due_ns = 0  # its state is looked at again
        for group in self.server.parts.follower._sender.groups.values():
            group.urgent = True
        self.server.parts.follower._wake.set()
        await self._until_round()
        async with asyncio.timeout(60):
            for _ in range(events):
                self.told.append((await self._events.chunk(self._happenings)).decode().rstrip("\n"))
        await self._point()
        await self._pass(seconds)

    async def wait(self, during: Change) -> None:
        """The kernel says that programs wait for the processor: the agent looks twice, with ``during`` between."""

        async def between(seconds: float) -> None:
            await self.server.feed.run(lambda: self.host.later(seconds, during))

        watch = self.server.agent.pressure
        watch._sleep = between
        self.followed.append("\n# programs wait for the processor")
        async with asyncio.timeout(60):
            await watch.look(["cpu"])
            while not await self._follow():
                pass

    async def over(self) -> None:
        """What the webhook still waits with goes out."""
        for _ in range(3):
            await self._pass(60.0)

    async def _pass(self, seconds: float) -> None:
        """The webhook's time goes by, second by second: it looks, and sends what it gathered."""
        for _ in range(int(seconds)):
            await self._quiet()
            self._clock.advance(1.0)
        await self._quiet()

    async def _quiet(self) -> None:
        """Until the webhook sleeps: what it was told is taken by the hook."""
        async with asyncio.timeout(60):
            await self._clock.sleeper(lambda seconds: seconds == LOOK_SECONDS)
            while not self._asleep():
                await asyncio.sleep(0)

    def _asleep(self) -> bool:
        sleeps = [seconds for _, seconds, done in self._clock._sleeping if not done.done()]
        waiting = self._notes.figures()
        gathers = 1.0 in sleeps
        return LOOK_SECONDS in sleeps and (gathers or (waiting is not None and not waiting.waiting))

    async def _until_round(self) -> None:
        async with asyncio.timeout(60):
            while "event: round\n" not in await self._follow():
                pass

    async def _follow(self) -> str:
        """What comes next; nothing where it only says that it is there."""
        text = (await self._follower.chunk(self._following)).decode().replace(": keepalive\n\n", "").rstrip("\n")
        if text:
            self.followed.append(text)
        return text

    async def _point(self) -> None:
        recorder = self.server.agent.recorder
        assert recorder is not None
        await recorder.point()

    def _tick(self) -> None:
        """Wait until a file that is written now has another time than those before."""
        path = self.host.files.path / "tick"
        path.write_text("")
        before = os.stat(path).st_mtime_ns
        while os.stat(path).st_mtime_ns == before:
            path.write_text("")


@asynccontextmanager
async def agent_over(host: PlayedHost, directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """An agent whose clocks are the story's, and which makes rounds of its history when it is told to."""
    times, patch = host.times, monkeypatch.setattr
    patch(time, "time", lambda: times.time_ms / 1000)
    patch(time, "time_ns", lambda: times.time_ms * 1_000_000)
    clocks = SimpleNamespace(
        time_ns=lambda: times.time_ms * 1_000_000,
        monotonic_ns=lambda: times.monotonic_ns,
        clock_gettime_ns=lambda _: times.boottime_ns,
        CLOCK_BOOTTIME=7,
    )
    patch(history_work, "time", clocks)
    for module, name in ((recorder_module, "_SHARED_SECONDS"), (follower_module, "_FRESHNESS_SECONDS")):
        patch(module, name, 0.0)  # each round has a reading of its own
    for name in ("PATIENCE_SECONDS", "_END_SECONDS"):
        patch(disk_module, name, 60.0)
    patch(recorder_module, "FIRST_SECONDS", 3600.0)  # nothing but the story makes rounds
    patch(sampling_worker, "STUCK_SECONDS", _HUNG_SECONDS)
    patch(pass_work, "CPU_WINDOW_SECONDS", 0.0)
    keeping = Keeping(3600.0, INTERVAL, str(directory), directory_seconds=7 * 86_400.0)

    def prepare(agent: Any) -> None:
        agent.parts.engine.events._clock, agent.parts.follower.lives._now = time.time_ns, time.time

    async with serving(open_host(host.root(), HostOptions()), history=keeping, prepare=prepare) as server:
        yield server


@asynccontextmanager
async def played(host: PlayedHost, directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Played]:
    """An agent, its clients, and a webhook."""
    async with agent_over(host, directory, monkeypatch) as server, webhook() as hook:
        app = server.parts
        clock = StoryTime(host.times)

        async def hostname() -> str | None:
            return "web1"

        notes = Webhook(server.feed, app.follower, 1, hostname, clock, Backoff(random=lambda: 0.5))
        found = Played(host, server, hook, notes, clock)
        try:
            async with server.connection() as follower, server.connection() as events:
                await found.begin(follower, events)
                yield found
        finally:
            await notes.stop()


async def point(server: Server) -> None:
    """A round of the history, now."""
    history, recorder = server.parts.history, server.agent.recorder
    assert history is not None and recorder is not None
    await history.ready()
    await recorder.point()
