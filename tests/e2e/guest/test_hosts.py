"""Hosts that are set up otherwise: hidepid, a data root elsewhere, the agent in a container of its own."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent import Agent, UnixConnection
from docker import Docker, one_shot
from engine import run, wait_until
from figures import ALLOWED, differences

pytestmark = pytest.mark.long
USR_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


@pytest.fixture
def docker() -> Iterator[Docker]:
    engine = Docker("systemd")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def hidepid() -> Iterator[None]:
    run("mount", "-o", "remount,hidepid=2", "/proc")
    yield
    run("mount", "-o", "remount,hidepid=0", "/proc")


def compare(agent: Agent, container: str) -> dict[str, Any]:
    """The agent's answer, which agrees with the engine's of the same second."""
    before = one_shot(container)
    answer = agent.one(container)
    found = differences(before, answer, one_shot(container), cpu=False)
    assert {key: value for key, value in found.items() if value > ALLOWED[key]} == {}, answer
    return answer


def test_hidepid_does_not_reach_into_the_unit(docker: Docker, agent: Agent, hidepid: None) -> None:
    """systemd gives a unit with a sandbox like this one a /proc of its own, without the option."""
    agent.restart()
    container = docker.create("hidden", "--memory", "32m")
    answer = compare(agent, container)
    assert answer["networkRx"] > 0
    assert agent.all()[container]["name"] == "hidden"


def test_hidepid_takes_the_network_figures_alone_from_who_runs_without_the_unit(docker: Docker, hidepid: None) -> None:
    container = docker.create("hidden", "--memory", "32m")
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    before = one_shot(container)
    answer = json.loads(run(*as_nobody, "cgstatd", "stats", "--format", "json", container[:12]))
    assert (answer["networkRx"], answer["networkTx"]) == (None, None)
    assert (answer["memoryUsage"], answer["memoryLimit"]) == (before.memory, 32 << 20)


@pytest.mark.parametrize("how", ["daemon.json", "symbolic link"])
def test_a_docker_data_root_elsewhere_is_found(agent: Agent, how: str) -> None:
    elsewhere = Path("/srv/docker")
    elsewhere.mkdir(parents=True, exist_ok=True)
    if how == "daemon.json":
        engine = Docker("systemd", data_root=str(elsewhere))
    else:
        engine = Docker("systemd")
        run("rm", "-rf", "/var/lib/docker")
        os.symlink(elsewhere, "/var/lib/docker")
    engine.start()
    try:
        agent.restart()
        container = engine.create("elsewhere")
        assert agent.all()[container]["name"] == "elsewhere"
    finally:
        engine.stop()
        if os.path.islink("/var/lib/docker"):
            os.unlink("/var/lib/docker")
        agent.restart()


def test_the_agent_in_a_container_sees_the_host_through_its_mounts(docker: Docker, tmp_path: Path) -> None:
    """A private cgroup namespace and no network: only /host tells. The host's pids, as the README says."""
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as tar:
        for name, target in USR_LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    run("docker", "import", str(archive), "e2e/links:1")
    container = docker.create("watched", "--memory", "32m")
    mounts = ["/proc:/host/proc", "/sys:/host/sys", "/var/lib/docker:/host/var/lib/docker", "/etc:/host/etc",
              "/run:/host/run", "/usr:/usr", "/opt:/opt"]  # fmt: skip
    volumes = [part for mount in mounts for part in ("--volume", f"{mount}:ro")]
    run("docker", "run", "-d", "--name", "agent", "--pid", "host", "--cgroupns", "private", "--network", "none",
        "--cap-drop", "ALL", "--cap-add", "DAC_READ_SEARCH", *volumes, "--volume", f"{tmp_path}:/socket", "e2e/links:1",
        "/opt/cgstatd/bin/cgstatd", "serve", "--host-root", "/host", "--listen", "unix:/socket/agent")  # fmt: skip
    wait_until((tmp_path / "agent").exists)
    inside = UnixAgent(str(tmp_path / "agent"))
    assert inside.all()[container]["name"] == "watched"
    answer = compare(inside, container)
    assert answer["memoryLimit"] == 32 << 20
    assert answer["networkRx"] > 0


class UnixAgent(Agent):
    """An agent that somebody else started, on a unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def raw(self, path: str) -> tuple[int, bytes]:
        connection = UnixConnection(self._path)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
