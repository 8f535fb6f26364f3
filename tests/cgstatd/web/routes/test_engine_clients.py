"""Unmodified clients of the Engine API on the agent's own docker socket: docker-py, the docker CLI, Compose. What these
and others (aiodocker, dockerode) send: tests/golden/conversations."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgstatd.outputs.engine.system import READ_ONLY
from fakehost import FakeHost, container_id
from helpers import write_files
from wire import Agent, agent

STAT = "cpu  1000 0 1000 7000 500 0 0 0 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nbtime 1795606461\n"
PROJECT = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web",
           "com.docker.compose.project.config_files": "/srv/shop/compose.yaml", "com.docker.compose.oneoff": "False",
           "com.docker.compose.container-number": "1", "com.docker.compose.config-hash": "ab"}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, str, FakeHost]]:
    """An agent over a made-up host, its socket, and the host."""
    folder = tmp_path_factory.mktemp("clients")
    host = FakeHost(folder / "host")
    for name in ("a", "b"):
        host.add(name, limit=str(64 << 20))
    host.add("paused", frozen=True)
    host.on_disk("stopped")
    host.config("a", Config={"Labels": PROJECT})
    (pid,) = (host.scope("a") / "cgroup.procs").read_text().split()
    write_files(
        str(host.path),
        {
            "proc/stat": STAT,
            "sys/devices/system/cpu/online": "0-1\n",
            f"proc/{pid}/stat": f"{pid} (web) S 7 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 500 0",
        },
    )
    tree = host.record(folder / "tree", 1)
    socket = str(folder / "docker.sock")
    with agent("--listen", "127.0.0.1:0", "--host-root", tree, "--docker-socket", socket) as started:
        yield started, socket, host


def test_the_socket_is_for_its_owner_and_group(made: tuple[Agent, str, FakeHost]) -> None:
    assert Path(made[1]).stat().st_mode & 0o777 == 0o660


# -- docker-py


@pytest.fixture
def client(made: tuple[Agent, str, FakeHost]) -> Iterator[Any]:
    """docker-py's client."""
    docker = pytest.importorskip("docker", reason="docker-py is not installed: pip install docker")
    client = docker.DockerClient(f"unix://{made[1]}", version="auto", timeout=60)
    yield client
    client.close()


def test_docker_py_lists_and_gets(client: Any) -> None:
    assert client.ping() is True
    assert {each.name: each.status for each in client.containers.list(all=True)} == {
        "a": "running", "b": "running", "paused": "paused", "stopped": "exited"
    }  # fmt: skip
    assert [each.name for each in client.containers.list(filters={"label": "com.docker.compose.service=web"})] == ["a"]
    one = client.containers.get("a")
    assert one.id == container_id("a") and one.labels["com.docker.compose.project"] == "shop"
    assert client.info()["ContainersRunning"] == 2 and client.version()["Os"] == "linux"
    assert [each.tags for each in client.images.list()] == [["lab/busybox:1"]]
    assert client.containers.get("a").image.tags == ["lab/busybox:1"]
    assert client.networks.list() == [] and client.volumes.list() == []
    assert client.df()["Volumes"] == []


def test_docker_py_reads_figures_processes_and_events(client: Any) -> None:
    one = client.containers.get("a")
    assert one.stats(stream=False)["memory_stats"]["usage"] == 3 << 20
    stream = one.stats(decode=True)
    first, second = next(stream), next(stream)
    assert first["id"] == container_id("a") and second["preread"] == first["read"]
    stream.close()
    assert client.api.stats("a", stream=False, one_shot=True)["preread"].startswith("0001-")
    assert client.containers.get("stopped").stats(stream=False)["read"].startswith("0001-")
    assert one.top()["Processes"][0][-1] == "web"
    events = client.events(since=0, until=int(time.time()), decode=True, filters={"container": "stopped"})
    assert [each["Action"] for each in events] == ["start"]
    following = client.events(decode=True)
    threading.Timer(0.2, following.close).start()
    assert list(following) == []


def test_docker_py_is_refused_what_changes_something(client: Any) -> None:
    errors = pytest.importorskip("docker.errors")
    one = client.containers.get("a")
    for what in (one.stop, one.kill, one.remove, one.logs, one.pause, one.diff, lambda: one.exec_run("ls")):
        with pytest.raises(errors.APIError) as caught:
            what()
        assert caught.value.status_code == 403 and caught.value.explanation == READ_ONLY
    with pytest.raises(errors.NotFound):
        client.containers.get("nope")
    with pytest.raises(errors.APIError, match="403"):
        client.containers.create("busybox")


# -- the docker CLI, and Compose


@pytest.fixture
def cli(made: tuple[Agent, str, FakeHost], tmp_path: Path) -> Any:
    """The docker CLI: what it prints."""
    program = shutil.which("docker") or pytest.skip("the docker CLI is not installed")

    def run(*arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [program, "-H", f"unix://{made[1]}", *arguments],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            env={"HOME": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_docker_cli_lists(cli: Any) -> None:
    found = {each["Names"]: each for each in rows(cli("ps", "-a", "--no-trunc", "--format", "json"))}
    assert {name: each["State"] for name, each in found.items()} == {
        "a": "running", "b": "running", "paused": "paused", "stopped": "exited"
    }  # fmt: skip
    assert found["a"]["ID"] == container_id("a") and found["a"]["Image"] == "lab/busybox:1"
    assert cli("ps", "-q", "--filter", "name=^/a$").split() == [container_id("a")[:12]]
    assert json.loads(cli("inspect", "a"))[0]["State"]["Status"] == "running"
    assert "cgstatd (read-only)" in cli("version") and json.loads(cli("info", "--format", "json"))["Containers"] == 4
    assert "lab/busybox" in cli("images") and cli("network", "ls") and cli("volume", "ls") and cli("system", "df")
    assert cli("top", "a").split()[-1] == "web"


def test_the_docker_cli_shows_figures_and_events(cli: Any) -> None:
    found = {each["Name"]: each for each in rows(cli("stats", "--no-stream", "--format", "json"))}
    assert set(found) == {"a", "b", "paused"}
    assert (found["a"]["MemUsage"], found["a"]["PIDs"]) == ("2MiB / 64MiB", "1")
    assert found["a"]["BlockIO"] == "4.1kB / 8.19kB" and found["a"]["NetIO"] == "1kB / 500B"
    assert len(rows(cli("events", "--since", "2026-01-01", "--until", "0s", "--format", "json"))) == 4


def test_the_docker_cli_is_refused_what_changes_something(cli: Any) -> None:
    for arguments in (["stop", "a"], ["logs", "a"], ["exec", "a", "ls"], ["cp", "a:/etc/passwd", "."],
                      ["rm", "-f", "a"], ["run", "busybox"], ["pull", "busybox"]):  # fmt: skip
        assert READ_ONLY in cli(*arguments, status=125 if arguments[0] == "run" else 1)


def test_compose_lists_its_projects(cli: Any) -> None:
    if subprocess.run(
        [shutil.which("docker") or "docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("Compose is not installed")
    assert json.loads(cli("compose", "ls", "--format", "json")) == [
        {"Name": "shop", "Status": "running(1)", "ConfigFiles": "/srv/shop/compose.yaml"}
    ]
    found = rows(cli("compose", "-p", "shop", "ps", "--format", "json"))
    assert [(each["Name"], each["Service"], each["State"]) for each in found] == [("a", "web", "running")]


# -- dockerode
