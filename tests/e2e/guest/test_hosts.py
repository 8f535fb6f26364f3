"""Hosts that are set up otherwise: hidepid, a data root elsewhere, the agent in a container of its own."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent import Agent, UnixConnection
from docker import Docker, one_shot
from engine import run, wait_until

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


def test_hidepid_takes_the_network_figures_and_nothing_else(docker: Docker, agent: Agent, hidepid: None) -> None:
    agent.restart()
    container = docker.create("hidden", "--memory", "32m")
    answer = agent.all()[container]
    engine = one_shot(container)
    assert (answer["name"], answer["memoryLimit"]) == ("hidden", 32 << 20)
    assert answer["memoryUsage"] == engine.memory
    seen = run("nsenter", "-t", str(agent.pid), "-m", "grep", " /proc ", "/proc/1/mountinfo", "/proc/self/mountinfo")
    assert (answer["networkRx"], answer["networkTx"]) == (0, 0), seen
    assert "Traceback" not in agent.journal()


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
    watched = docker.create("watched", "--memory", "32m")
    mounts = ["/proc:/host/proc", "/sys:/host/sys", "/var/lib/docker:/host/var/lib/docker", "/etc:/host/etc",
              "/run:/host/run", "/usr:/usr", "/opt:/opt"]  # fmt: skip
    volumes = [part for mount in mounts for part in ("--volume", f"{mount}:ro")]
    run("docker", "run", "-d", "--name", "agent", "--pid", "host", "--cgroupns", "private", "--network", "none",
        "--cap-drop", "ALL", "--cap-add", "DAC_READ_SEARCH", *volumes, "--volume", f"{tmp_path}:/socket", "e2e/links:1",
        "/opt/cgstatd/bin/cgstatd", "serve", "--host-root", "/host", "--listen", "unix:/socket/agent")  # fmt: skip
    wait_until((tmp_path / "agent").exists)
    inside = UnixAgent(str(tmp_path / "agent"))
    answer = inside.all()[watched]
    engine = one_shot(watched)
    assert (answer["name"], answer["memoryLimit"]) == ("watched", 32 << 20)
    assert answer["memoryUsage"] == engine.memory
    assert (answer["networkRx"], answer["networkTx"]) == (engine.rx, engine.tx)


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
