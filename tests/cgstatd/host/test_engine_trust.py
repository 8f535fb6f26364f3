"""Which processes are believed to be an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgroupfs import Identity, Root
from cgstatd.host.running_engines import EngineNamespaces, LateSources, engine_processes, in_container, running_roots
from helpers import believed

ID = "a" * 64
OUTSIDE = "0::/system.slice/docker.service\n"
CONTAINERS = (
    f"0::/system.slice/docker-{ID}.scope\n",
    f"0::/system.slice/docker-{ID}.scope/init\n",
    f"4:memory:/docker/{ID}\n1:name=systemd:/\n",
    f"0::/../docker-{ID}.scope\n",
    "0::/lxc.payload.web/system.slice/docker.service\n",
    f"0::/machine.slice/libpod-{ID}.scope/container\n",
)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    def process(pid: int, comm: str, cgroup: str, *arguments: str) -> None:
        directory = tmp_path / "proc" / str(pid)
        (directory / "net").mkdir(parents=True)
        (directory / "comm").write_text(f"{comm}\n")
        (directory / "cgroup").write_text(cgroup)
        (directory / "cmdline").write_text("\0".join([*arguments, ""]))
        (directory / "net" / "dev").write_text("")

    process(10, "dockerd", OUTSIDE, "/usr/bin/dockerd", "--data-root", "/mnt/docker")
    for number, cgroup in enumerate(CONTAINERS):
        process(20 + number, "dockerd", cgroup, "dockerd", f"--data-root=/forged/{number}")
    process(40, "conmon", CONTAINERS[0], "conmon", "-b", f"/forged/overlay-containers/{ID}/userdata")
    process(50, "dockerd", "", "dockerd", "-g", "/no/cgroup")
    return tmp_path


@pytest.mark.parametrize("membership", CONTAINERS)
def test_a_process_in_a_container_is_recognised_in_any_hierarchy(membership: str) -> None:
    assert in_container(membership.encode())


@pytest.mark.parametrize("membership", [OUTSIDE, "", "0::/\n", "rubbish", "\xff:::/"])
def test_a_process_outside_containers_is_not_taken_for_one_inside(membership: str) -> None:
    assert not in_container(membership.encode("latin-1"))


@believed
def test_an_engine_inside_a_container_names_no_data_root_of_the_host(host: Path) -> None:
    assert sorted(running_roots(Root(str(host)))) == [("docker", "/mnt/docker"), ("docker", "/no/cgroup")]
    assert len(LateSources(Root(str(host)), ["/no/cgroup"])()) == 1


@believed
def test_docker_in_docker_does_not_make_its_containers_network_the_hosts(host: Path) -> None:
    root = Root(str(host))
    own = {root.identity(f"/proc/{pid}/net/dev").inode for pid in (10, 50)}
    assert EngineNamespaces(root)() == own


def test_an_engine_of_an_unprivileged_user_is_not_believed(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Root.identity

    def identity(self: Root, path: str, fd: int | None = None) -> Identity:
        return real(self, path, fd)._replace(uid=1000)

    monkeypatch.setattr(Root, "identity", identity)
    assert list(engine_processes(Root(str(host)))) == []
