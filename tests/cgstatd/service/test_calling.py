"""The outgoing connection as part of a running service: begun, reloaded, ended."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSCloseCode

from cgstatd.config import Settings
from cgstatd.doctor import servers
from cgstatd.doctor.findings import COSTS, OK
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
        await asyncio.to_thread(running.reload, config, wanted + "freshness = 1\n")
        assert (await link.ask("/_ping"))["statusCode"] == 200
        await asyncio.to_thread(running.reload, config, "")
        assert await link.closed() == WSCloseCode.GOING_AWAY
        await asyncio.to_thread(running.reload, config, wanted)
        again = await found.link(2)
        await again.ask("/_ping")
        running.process.terminate()
        assert await again.closed() == WSCloseCode.GOING_AWAY
        code, said = await asyncio.to_thread(running.end)
        assert code == 0 and "Traceback" not in said and TOKEN not in said


async def test_a_server_that_is_away_does_not_hold_the_end_up(played: str, tmp_path: Path) -> None:
    url = ("--dockhand-url", "ws://127.0.0.1:1", "--dockhand-token-file", str(tmp_path / "token"))
    with agent("--host-root", played, "--listen", "127.0.0.1:0", *url) as running:
        await asyncio.to_thread(running.says, "dockhand not connected")
        running.process.terminate()
        assert (await asyncio.to_thread(running.end))[0] == 0


async def test_how_it_goes_is_a_metric_and_the_doctor_says_it(
    server: tuple[Dockhand, str], played: str, tmp_path: Path
) -> None:
    found, url = server
    config, token = tmp_path / "config.toml", tmp_path / "token"
    text = f'dockhand_url = "{url}"\ndockhand_token_file = "{token}"\n'
    config.write_text(text)
    token.write_text("another")
    with agent("--config", str(config), "--host-root", played, "--listen", "127.0.0.1:0") as running:
        await found.refused()
        await asyncio.to_thread(running.says, "refused: Invalid token")
        assert await told(running, url, token, COSTS) == (
            f"Dockhand: not connected to {url} (attempts: 0 connected, 1 refused, 0 failed)"
        )
        token.write_text(TOKEN)
        await asyncio.to_thread(running.reload, config, text)
        await (await found.link()).ask("/_ping")
        assert await told(running, url, token, OK) == (
            f"Dockhand: connected to {url} (attempts: 1 connected, 1 refused, 0 failed)"
        )
        address = f"http://127.0.0.1:{running.port}/metrics"
        metrics = (await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())).decode()
        assert "cgstatd_dockhand_connected 1.0" in metrics and "cgstatd_dockhand_events_waiting 0.0" in metrics
        assert 'cgstatd_dockhand_attempts_total{outcome="connected"} 1.0' in metrics
        await asyncio.to_thread(running.reload, config, "")
        metrics = (await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())).decode()
        assert "cgstatd_dockhand" not in metrics
        assert "calls no server yet" in await told(running, url, token, COSTS)


async def told(running: Agent, url: str, token: Path, level: str) -> str:
    """What the doctor says of the connection, once it is of that level: the agent counts when it has closed."""
    settings = Settings(listen=(f"127.0.0.1:{running.port}",), dockhand_url=url, dockhand_token_file=str(token))
    while True:
        [found] = await asyncio.to_thread(lambda: list(servers.dockhand(settings)))
        if found.level == level and "0 connected, 0 refused" not in found.what:
            return found.what


@pytest.mark.parametrize(
    ("token", "ca", "words"),
    [(None, None, "No such file"), ("", None, "expected one token"), ("good", "no authority", "dockhand_ca")],
)
def test_the_doctor_says_what_is_missing(tmp_path: Path, token: str | None, ca: str | None, words: str) -> None:
    if token is not None:
        (tmp_path / "token").write_text(token)
    if ca is not None:
        (tmp_path / "ca").write_text(ca)
    settings = Settings(
        dockhand_url="wss://dockhand.example.org", dockhand_token_file=str(tmp_path / "token"),
        dockhand_ca="" if ca is None else str(tmp_path / "ca"),
    )  # fmt: skip
    [found] = servers.dockhand(settings)
    assert found.level == COSTS and words in found.what
    assert list(servers.dockhand(Settings())) == []
