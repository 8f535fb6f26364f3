"""The webhook as part of a running service: begun, reloaded, ended, and where its address may stand."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cgstatd.config import Settings
from cgstatd.doctor import servers
from cgstatd.doctor.findings import COSTS, NOTE, OK, Finding
from fakehost import FakeHost
from webhook import Hook, answering, silent, webhook
from wire import ENVIRONMENT, Agent, agent, run


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with webhook() as found:
        yield found


@pytest.fixture
def played(tmp_path: Path) -> str:
    """A host with one container, which is near its limit."""
    host = FakeHost(tmp_path / "host")
    host.add("web", memory=950, cache=0, limit="1000")
    return host.record(tmp_path / "recorded", 1)


def configured(folder: Path, url: str, more: str = "") -> Path:
    config = folder / "config.toml"
    config.write_text(f'notify_url = "{url}"\n{more}' if url else more)
    config.chmod(0o644)
    return config


def of(config: Path, played: str) -> tuple[str, ...]:
    return "--config", str(config), "--host-root", played, "--listen", "127.0.0.1:0"


async def doctor_says(running: Agent, url: str, level: str) -> Finding:
    """Once it is of this level."""
    settings = Settings(notify_url=url, listen=(f"127.0.0.1:{running.port}",))
    async with asyncio.timeout(60):
        while True:
            [found] = await asyncio.to_thread(lambda: list(servers.webhook(settings)))
            if found.level == level:
                return found
            await asyncio.sleep(0.05)


async def test_it_tells_is_reloaded_and_ends(hook: Hook, played: str, tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    with agent(*of(config, played)) as running:
        off = await doctor_says(running, hook.url, COSTS)
        assert "has none yet" in off.what and "s3cret" not in repr(off)
        hook.answers = [answering(404)]
        configured(tmp_path, hook.url)
        running.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(running.says, "reloaded changed=notify_url")
        await hook.got()
        assert [each["name"] for each in hook.told()] == ["web"]
        failing = await doctor_says(running, hook.url, COSTS)
        assert "did not take the latest: 0 delivered, 1 lost, 0 waiting" in failing.what
        async with webhook() as other:
            configured(tmp_path, other.url)
            running.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(running.says, "reloaded changed=notify_url")
        running.process.terminate()
        code, log = await asyncio.to_thread(running.end)
        assert code == 0 and "Traceback" not in log and "s3cret" not in log


async def test_what_becomes_of_notifications_is_a_metric_and_the_doctor_says_it(
    hook: Hook, played: str, tmp_path: Path
) -> None:
    config = configured(tmp_path, hook.url)
    with agent(*of(config, played)) as running:
        await hook.got()
        found = await doctor_says(running, hook.url, OK)
        while "1 delivered" not in found.what:
            found = await doctor_says(running, hook.url, OK)
        assert found.what == f"notifications go to {hook.url.split('/hook')[0]}: 1 delivered, 0 lost, 0 waiting"
        url = f"http://127.0.0.1:{running.port}/metrics"
        text = (await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())).decode()
        assert 'cgstatd_notifications_total{outcome="delivered"} 1.0' in text
        assert "cgstatd_notify_ok 1.0" in text and "cgstatd_notify_waiting 0.0" in text


async def test_a_server_that_never_answers_does_not_hold_the_end_up(hook: Hook, played: str, tmp_path: Path) -> None:
    hook.always = silent
    config = configured(tmp_path, hook.url)
    with agent(*of(config, played)) as running:
        await hook.got()
        running.process.terminate()
        code, log = await asyncio.to_thread(running.end)
        assert code == 0 and "1 notifications were not delivered" in log


async def test_what_the_unit_gives_it_keeps_what_a_restart_must_not_lose(
    hook: Hook, played: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    monkeypatch.setitem(ENVIRONMENT, "STATE_DIRECTORY", str(state))
    monkeypatch.delitem(ENVIRONMENT, "SYSTEMD_EXEC_PID", raising=False)
    config = configured(tmp_path, hook.url)
    hook.always = answering(500)
    for _ in range(2):
        before = len(hook.requests)
        with agent(*of(config, played)) as running:
            await hook.got(before + 1)
            running.process.terminate()
            code, log = await asyncio.to_thread(running.end)
            assert code == 0 and "1 notifications wait on disk for its next start" in log
    hook.always = answering(204)
    with agent(*of(config, played)) as running:
        while "1 delivered" not in (await doctor_says(running, hook.url, OK)).what:
            pass
    assert {each["name"] for each in hook.told()} == {"web"} and len(hook.told()) == len(hook.requests)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_does_not_say_where_to(played: str, tmp_path: Path, mode: int) -> None:
    config = configured(tmp_path, "https://hooks.example.org/x", "freshness = 1\n")
    config.chmod(mode)
    ran = run("config", "--check", str(config))
    assert ran.returncode == 2 and f"{config}:1: notify_url: not believed from here: other users may write" in (
        ran.stdout + ran.stderr
    )
    configured(tmp_path, "", "freshness = 1\n").chmod(mode)
    assert run("config", "--check", str(config)).returncode == 0  # what it says of other keys is nobody's secret


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file of another user")
def test_a_file_of_another_user_does_not_either(tmp_path: Path) -> None:
    config = configured(tmp_path, "https://hooks.example.org/x")
    os.chown(config, 12345, 0)
    assert "belongs to uid 12345" in (found := run("config", "--check", str(config))).stdout + found.stderr


def test_the_doctor_says_what_it_needs_and_nothing_where_there_is_none(tmp_path: Path) -> None:
    def of(**more: Any) -> list[Finding]:
        settings = Settings(notify_url="https://h.example.org/x", listen=("127.0.0.1:1",), **more)
        return list(servers.webhook(settings))

    assert list(servers.webhook(Settings())) == []
    [found] = of()
    assert found.level == NOTE and "was not asked" in found.what and "/x" not in repr(found)
    [found] = of(notify_secret_file=f"{tmp_path}/none")
    assert found.level == COSTS and "No such file" in found.what
    (tmp_path / "ca").write_text("no certificate")
    [found] = of(notify_ca=f"{tmp_path}/ca")
    assert found.level == COSTS and f"notify_ca {tmp_path}/ca" in found.what
