"""The outgoing connection as part of a running service: begun, reloaded, ended."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSCloseCode

from dockhand import TOKEN, Dockhand, dockhand
from fakehost import FakeHost
from wire import Agent, agent


@pytest.fixture
async def server() -> AsyncIterator[tuple[Dockhand, str]]:
    """What the agent calls."""
    async with dockhand() as found:
        yield found


@pytest.fixture
def played(tmp_path: Path) -> str:
    """A host with one container, and the token."""
    host = FakeHost(tmp_path / "host")
    host.add("web")
    (tmp_path / "token").write_text(TOKEN)
    return host.record(tmp_path / "recorded", 1)


async def reload(running: Agent, config: Path, text: str) -> None:
    """Write the configuration and have it read."""
    config.write_text(text)
    running.process.send_signal(signal.SIGHUP)
    assert running.process.stderr is not None
    while "reloaded" not in await asyncio.to_thread(running.process.stderr.readline):
        assert running.process.poll() is None


async def test_it_calls_is_reloaded_and_hangs_up(server: tuple[Dockhand, str], played: str, tmp_path: Path) -> None:
    found, url = server
    config = tmp_path / "config.toml"
    wanted = f'dockhand_url = "{url}"\ndockhand_token_file = "{tmp_path}/token"\n'
    config.write_text(wanted)
    with agent("--config", str(config), "--host-root", played, "--listen", "127.0.0.1:0") as running:
        link = await found.link()
        listed = json.loads((await link.ask("/containers/json"))["body"])
        assert [each["Names"] for each in listed] == [["/web"]]
        assert (await link.ask("/containers/web/kill", "POST"))["statusCode"] == 403
        await reload(running, config, wanted + "freshness = 1\n")
        assert (await link.ask("/_ping"))["statusCode"] == 200
        await reload(running, config, "")
        assert await link.closed() == WSCloseCode.GOING_AWAY
        await reload(running, config, wanted)
        again = await found.link(2)
        await again.ask("/_ping")
        running.process.terminate()
        assert await again.closed() == WSCloseCode.GOING_AWAY
        code, said = await asyncio.to_thread(running.end)
        assert code == 0 and "Traceback" not in said and TOKEN not in said


async def test_a_reload_tries_at_once(server: tuple[Dockhand, str], played: str, tmp_path: Path) -> None:
    found, url = server
    config, token = tmp_path / "config.toml", tmp_path / "token"
    token.write_text("another")
    text = f'dockhand_url = "{url}"\ndockhand_token_file = "{token}"\n'
    config.write_text(text)
    with agent("--config", str(config), "--host-root", played, "--listen", "127.0.0.1:0") as running:
        await found.refused()
        assert running.process.stderr is not None
        while "refused: Invalid token" not in await asyncio.to_thread(running.process.stderr.readline):
            assert running.process.poll() is None
        token.write_text(TOKEN)
        await reload(running, config, text)
        await found.link()


async def test_a_server_that_is_away_does_not_hold_the_end_up(played: str, tmp_path: Path) -> None:
    url = ("--dockhand-url", "ws://127.0.0.1:1", "--dockhand-token-file", str(tmp_path / "token"))
    with agent("--host-root", played, "--listen", "127.0.0.1:0", *url) as running:
        assert running.process.stderr is not None
        while "dockhand not connected" not in await asyncio.to_thread(running.process.stderr.readline):
            assert running.process.poll() is None
        running.process.terminate()
        assert (await asyncio.to_thread(running.end))[0] == 0
