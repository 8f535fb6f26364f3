"""What a restart of the agent must not lose: in the file, and in what the webhook receives."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cgstatd.basics.destination import Destination
from cgstatd.basics.timing import Backoff
from cgstatd.host.identity import Identity
from cgstatd.notify import kept as kept_module
from cgstatd.notify.keeper import SOON_SECONDS
from cgstatd.notify.kept import FORMAT, CannotKeep, Kept, KeptFile, encode
from cgstatd.notify.known_ends import LatestEnd
from cgstatd.notify.webhook import GATHER_SECONDS, LOOK_SECONDS, Webhook
from cgstatd.outputs.notification_json import Notification
from cgstatd.outputs.own_metrics import Notified
from cgstatd.sampling import pass_work
from cgstatd.sampling.round import Changes, Ended
from cgstatd.service.systemd import state_directory
from dockhand import ManualTime
from fakehost import FakeHost, container_id
from webhook import Hook, answering, webhook
from wire import serving

NOTE = Notification(
    type="exit", text="x", timestamp=1, id="a", name="a", workload="lxc:a", runtime="lxc", owner_uid=0, reason="Error"
)
KEPT = Kept(
    format=FORMAT, since=1.5, ends={"docker:a@0": LatestEnd(0, 1.25, None, 3)}, near=["b"], flapping=["lxc:a"],
    waiting=[(1.0, NOTE)],
)  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The directory that a unit gives."""
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


# -- the file


def test_what_was_kept_is_there_again(state: Path) -> None:
    file = KeptFile(str(state))
    assert file.open() is None
    file.write(encode(KEPT))
    file.close()
    again = KeptFile(str(state))
    assert again.open() == KEPT
    assert [each.name for each in (state / "notify").iterdir()] == ["kept.json"]
    assert (state / "notify/kept.json").stat().st_mode & 0o777 == 0o600
    again.forget()
    again.close()
    assert KeptFile(str(state)).open() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        encode(KEPT)[:-9],
        encode(KEPT).replace(b'"format":1', b'"format":2'),
        encode(KEPT).replace(b'"since":1.5', b'"since":"x"'),
        b'{"x":' + b"[" * 100_000,
        encode(KEPT).replace(b'"timestamp":1', b'"timestamp":' + b"9" * 5000),
        b"[]",
        b"\xff",
    ],
    ids=["empty", "zeros", "cut", "newer", "type", "deep", "huge", "list", "latin"],
)
def test_a_file_that_is_broken_is_said_and_not_used(
    state: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert KeptFile(str(holding(state, content))).open() is None
    assert "is not used, the agent begins as at its first start" in caplog.text


def holding(state: Path, content: bytes, mode: int = 0o600) -> Path:
    """The directory with such a file."""
    (state / "notify").mkdir(mode=0o700)
    (state / "notify/kept.json").write_bytes(content)
    (state / "notify/kept.json").chmod(mode)
    return state


def test_a_file_that_others_can_write_is_not_believed(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert KeptFile(str(holding(state, encode(KEPT), 0o666))).open() is None
    assert "other users may write" in caplog.text


def test_a_fifo_and_a_file_without_end_hold_nothing_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "notify").mkdir(mode=0o700)
    os.mkfifo(state / "notify/kept.json", 0o600)
    file = KeptFile(str(state))
    assert file.open() is None
    (state / "notify/kept.json").unlink()
    (state / "notify/kept.json").write_bytes(encode(KEPT))
    monkeypatch.setattr(kept_module, "_MOST_BYTES", 10)
    assert file.open() is None


def test_a_directory_that_others_can_write_keeps_nothing(state: Path) -> None:
    state.chmod(0o777)
    with pytest.raises(CannotKeep, match="other users may"):
        KeptFile(str(state)).open()
    with pytest.raises(CannotKeep, match="No such file"):
        KeptFile(f"{state}/no/where").open()


def test_a_second_agent_with_the_same_directory_keeps_nothing(state: Path) -> None:
    file = KeptFile(str(state))
    file.open()
    with pytest.raises(CannotKeep, match="in use by another agent"):
        KeptFile(str(state)).open()
    file.close()
    assert KeptFile(str(state)).open() is None


def test_a_full_disk_leaves_what_was_kept(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = KeptFile(str(state))
    file.open()
    file.write(encode(KEPT))

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            file.write(b"{}")
    file.close()
    assert os.listdir(state / "notify") == ["kept.json"] and KeptFile(str(state)).open() == KEPT


def test_the_units_directory_is_that_of_this_process_alone() -> None:
    assert state_directory({}) == state_directory({"STATE_DIRECTORY": ""}) == ""
    assert state_directory({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}) == "/var/lib/a"
    assert state_directory({"STATE_DIRECTORY": "/a", "SYSTEMD_EXEC_PID": str(os.getpid())}) == "/a"
    assert state_directory({"STATE_DIRECTORY": "/a", "SYSTEMD_EXEC_PID": "1"}) == ""


# -- runs of the agent


def figures(webhook: Webhook) -> Notified:
    found = webhook.figures()
    assert found is not None, "it has a destination"
    return found


class Runs:
    """One host, one webhook, and agents one after the other."""

    def __init__(self, host: FakeHost, state: Path, hook: Hook) -> None:
        self.host, self.state, self.hook = host, state, hook
        self.time = ManualTime()
        self.webhook: Webhook | None = None
        self.heard: Any = None

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Webhook]:
        """Until its first look is over."""
        async with serving(self.host.sampler()) as server:
            app = server.parts

            async def hostname() -> str | None:
                return None

            made = Webhook(app.feed, app.follower, 1, hostname, self.time, Backoff(lambda: 0.5), str(self.state))
            try:
                await made.tell(Destination(self.hook.url))
                await self.time.sleeper(lambda seconds: seconds == LOOK_SECONDS)
                self.heard = app.follower.observers[-1]
                yield made
            finally:
                await made.stop()

    async def told(self, webhook: Webhook, *, taken: bool = True) -> list[tuple[str, str, int]]:
        """What is sent once what happened was gathered; type, name and count. ``taken``: wait until the agent knows
        that it was delivered."""
        before = len(self.hook.requests)
        async with asyncio.timeout(10):
            await self.time.sleeper(lambda seconds: seconds == GATHER_SECONDS)
            self.time.advance(GATHER_SECONDS)
            await self.hook.got(before + 1)
            while taken and not figures(webhook).outcomes["delivered"]:
                await asyncio.sleep(0)
        return [(n["type"], n["name"], n["count"]) for _, b in self.hook.requests[before:] for n in b["notifications"]]

    async def nothing(self) -> None:
        """Another run of the agent has nothing to tell."""
        async with self.agent() as webhook:
            assert figures(webhook).waiting == 0 and self.gathering()

    async def rest(self) -> list[dict[str, Any]]:
        """What the next run delivers: at once, or with what is gathered."""
        before = len(self.hook.requests)
        async with self.agent() as webhook, asyncio.timeout(10):
            while not figures(webhook).outcomes["delivered"]:
                self.time.advance(GATHER_SECONDS)
                await asyncio.sleep(0)
        return [each for _, body in self.hook.requests[before:] for each in body["notifications"]]

    def gathering(self) -> bool:
        return not any(seconds == GATHER_SECONDS for _, seconds, _ in self.time._sleeping)

    async def written(self) -> None:
        """What happened is on disk."""
        await self.time.sleeper(lambda seconds: seconds == SOON_SECONDS)
        before = self.kept()
        self.time.advance(SOON_SECONDS)
        async with asyncio.timeout(10):
            while self.kept() == before:
                await asyncio.sleep(0)

    def kept(self) -> bytes:
        file = self.state / "notify/kept.json"
        return file.read_bytes() if file.exists() else b""

    def end(self, name: str, code: int = 3, **state: Any) -> None:
        """A container has ended just now, as its engine records it."""
        finished = datetime.fromtimestamp(self.time.time_ms() / 1000, UTC).isoformat().replace("+00:00", "Z")
        made = {"Running": False, "StartedAt": "2026-11-25T10:56:40Z", "FinishedAt": finished, "ExitCode": code}
        config = {"State": made | state, "Config": {"Image": "x"}, "Name": f"/{name}"}
        folder = self.host.path / "var/lib/docker/containers" / container_id(name)
        (folder / "config.v2.json").write_text(json.dumps(config))


@pytest.fixture
async def runs(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runs]:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.05)
    host = FakeHost(tmp_path / "host")
    async with webhook() as hook:
        yield Runs(host, state, hook)


async def test_what_ends_while_the_agent_does_not_run_is_told_once(runs: Runs) -> None:
    runs.host.add("web")
    runs.host.on_disk("old")
    runs.end("old", 9)
    await runs.nothing()
    runs.host.remove("web")
    runs.end("web", 137, OOMKilled=True)
    async with runs.agent() as second:
        assert await runs.told(second) == [("exit", "web", 1)]
    [found] = runs.hook.told()
    assert found["reason"] == "OOMKilled" and found["exitCode"] == 137
    assert found["text"].startswith("web ended with exit code 137 while the agent did not run")
    await runs.nothing()
    await runs.nothing()


async def test_a_container_near_its_limit_is_told_once_whatever_the_agent_does(runs: Runs) -> None:
    runs.host.add("big", memory=950, cache=0, limit="1000")
    async with runs.agent() as first:
        assert await runs.told(first) == [("memory", "big", 1)]
    for _ in range(3):
        await runs.nothing()
    runs.host.set("big", "memory.current", "700\n")
    await runs.nothing()
    runs.host.set("big", "memory.current", "950\n")
    async with runs.agent() as later:
        assert await runs.told(later) == [("memory", "big", 1)]


async def test_what_waits_is_delivered_by_the_next_run(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    runs.hook.always = answering(500)
    runs.host.add("big", memory=950, cache=0, limit="1000")
    async with runs.agent() as first:
        await runs.told(first, taken=False)
        await runs.time.sleeper(lambda seconds: seconds == 1.0)
    assert "1 notifications wait on disk for its next start" in caplog.text
    runs.hook.always = answering(204)
    assert [each["name"] for each in await runs.rest()] == ["big"]
    await runs.nothing()


async def test_an_agent_that_is_killed_loses_nothing_that_was_written(runs: Runs, tmp_path: Path) -> None:
    runs.host.add("web")
    async with runs.agent():
        await runs.written()
        killed = shutil.copytree(runs.state, tmp_path / "killed")
    runs.host.remove("web")
    runs.end("web")
    runs.state = killed
    async with runs.agent() as second:
        assert await runs.told(second) == [("exit", "web", 1)]


async def test_an_end_that_the_watch_has_told_is_not_told_by_the_next_run(runs: Runs) -> None:
    runs.host.add("web")
    async with runs.agent() as first:
        identity = Identity(container_id("web"), "web", "docker", 0, None)
        runs.heard(Changes(ended=[Ended(identity, None, None, 3, None, None, None, False, None, None)]))
        assert await runs.told(first) == [("exit", "web", 1)]
        runs.host.remove("web")
        runs.end("web")  # its engine was slow to write it
    await runs.nothing()


async def test_what_waits_for_the_end_of_its_minute_is_kept_too(runs: Runs) -> None:
    async with runs.agent() as first:
        for code in (3, 4, 5):
            end = Ended(Identity("a", "a", "lxc", 0, None), None, None, code, None, None, None, False, None, None)
            runs.heard(Changes(ended=[end]))
        assert await runs.told(first) == [("exit", "a", 1)]
    [found] = await runs.rest()
    assert (found["exitCode"], found["count"]) == (5, 2)


async def test_without_a_webhook_nothing_is_kept(runs: Runs) -> None:
    runs.host.add("web")
    async with runs.agent() as first:
        await runs.written()
        await first.tell(Destination())
        assert not runs.kept()
    runs.host.remove("web")
    runs.end("web")
    await runs.nothing()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that does not answer."""
    go = threading.Event()
    monkeypatch.setattr(KeptFile, "write", lambda *_: go.wait())
    yield
    go.set()


@pytest.mark.usefixtures("stuck")
async def test_a_disk_that_hangs_holds_no_end_up(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cgstatd.notify.keeper._END_SECONDS", 0.05)
    runs.hook.always = answering(500)
    runs.host.add("big", memory=950, cache=0, limit="1000")
    async with asyncio.timeout(20):
        async with runs.agent() as first:
            await runs.told(first, taken=False)
            await runs.time.sleeper(lambda seconds: seconds == 1.0)
    assert "1 notifications were not delivered" in caplog.text


async def test_a_full_disk_is_said_once_and_costs_no_notification(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(KeptFile, "write", full)
    runs.host.add("big", memory=950, cache=0, limit="1000")
    async with runs.agent() as first:
        assert await runs.told(first) == [("memory", "big", 1)]
    assert caplog.text.count("not kept on disk: No space left on device") == 1
