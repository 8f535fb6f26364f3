"""What SIGHUP takes over in a running service, seen from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cgstatd.feed.pressure.watch import OFF, STARTING
from cgstatd.host.pressure_triggers import NOT_LIVE
from fakehost import FakeHost
from wire import ALL, Agent, agent

FOLLOW = "/api/containers/stats/follow"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An empty configuration."""
    path = tmp_path / "config.toml"
    path.write_text("")
    return path


@pytest.fixture
def running(tmp_path: Path, config: Path) -> Iterator[Agent]:
    """A service over a host with one container that has labels."""
    host = FakeHost(tmp_path / "host")
    host.add("web", labels={"team": "blue", "com.docker.compose.project": "shop"})
    with agent(
        "--config", str(config), "--host-root", host.record(tmp_path / "recorded", 1), "--listen", "127.0.0.1:0"
    ) as started:
        yield started


def ask(running: Agent, target: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with closing(connection):
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def test_other_metric_labels(running: Agent, config: Path) -> None:
    before = ask(running, "/metrics")[1]
    assert b'container_label_com_docker_compose_project="shop"' in before and b"blue" not in before
    assert "reloaded changed=metric_labels" in running.reload(config, 'metric_labels = ["team"]\n')
    after = ask(running, "/metrics")[1]
    assert b'container_label_team="blue"' in after and b"compose" not in after


def test_the_hosts_own_figures_go(running: Agent, config: Path) -> None:
    assert b"node_memory_MemTotal_bytes" in ask(running, "/metrics")[1]
    assert "reloaded changed=host_metrics" in running.reload(config, "host_metrics = false\n")
    assert b"\nnode_" not in ask(running, "/metrics")[1]


def test_the_watch_of_pressure_goes_and_comes(running: Agent, config: Path) -> None:
    def absent() -> set[str]:
        return set(json.loads(ask(running, "/api/host")[1])["agent"]["pressure"]["absent"].values())

    assert absent() <= {NOT_LIVE, STARTING}
    assert "reloaded changed=pressure" in running.reload(config, "pressure = false\n")
    until = time.monotonic() + 20
    while absent() != {OFF}:  # an answer of the half second before may be shared
        assert time.monotonic() < until


def test_other_hosts_and_origins_and_back(running: Agent, config: Path) -> None:
    page = "https://dash.example.org"

    def found() -> tuple[int, str | None]:
        answer, _ = ask(running, ALL, Host="stats.example.org", Origin=page)
        return answer.status, answer.getheader("Access-Control-Allow-Origin")

    assert found() == (403, None)
    running.reload(config, f'allowed_hosts = ["stats.example.org"]\nallowed_origins = ["{page}"]\n')
    assert found() == (200, page)
    running.reload(config, "")
    assert found() == (403, None)


def test_a_stream_is_cut_where_others_may_ask_now_and_only_there(running: Agent, config: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with closing(connection):
        connection.request("GET", f"{FOLLOW}?interval=0.25")
        stream = connection.getresponse()
        assert stream.status == 200 and stream.readline()
        running.reload(config, "freshness = 1\n")
        began = time.monotonic()
        while time.monotonic() - began < 1:
            assert stream.readline()
        running.reload(config, 'allowed_hosts = ["stats.example.org"]\n')
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            while stream.readline():
                pass
            raise ConnectionError


def test_other_limits(running: Agent, config: Path) -> None:
    assert ask(running, f"{ALL}/stream")[0].status == 200
    running.reload(config, "max_streams = 1\nmax_connections_per_address = 2\n")
    first, second = (http.client.HTTPConnection("127.0.0.1", running.port, timeout=60) for _ in range(2))
    with closing(first), closing(second):
        first.request("GET", FOLLOW)
        assert first.getresponse().status == 200
        second.request("GET", FOLLOW)
        answer = second.getresponse()
        assert (answer.status, answer.read()) == (503, b'{"error":"Too many streams"}')
        assert ask(running, ALL)[0].status == 503  # a third connection


def test_what_needs_a_restart_is_named_and_stays(running: Agent, config: Path) -> None:
    said = running.reload(config, "env_id = 7\nmax_connections = 1\nmax_streams = 3\n")
    assert said == "level=info reloaded changed=max_streams\n"
    assert running.says("needs a restart") == "level=warning changed, and needs a restart: env_id, max_connections\n"
    assert ask(running, f"{ALL}?env=1")[0].status == 200


def test_a_fifo_in_place_of_the_configuration_holds_nothing_up(running: Agent, config: Path) -> None:
    config.unlink()
    os.mkfifo(config)
    running.process.send_signal(signal.SIGHUP)
    assert "not a regular file" in running.says("the configuration stays the old one")
    assert ask(running, ALL)[0].status == 200
