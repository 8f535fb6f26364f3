"""Data roots and namespaces that running engines were given, found in /proc."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path

import pytest

from cgstatd.host.running_engines import (
    EngineNamespaces,
    LateSources,
    containerd_states,
    in_container,
    root_of,
    running_roots,
)
from cgstatd.host.runtimes.base import Metadata
from cgstatd.host.runtimes.docker import DockerSource
from cgstatd.host.runtimes.statefile import StateFiles
from helpers import MadeUpHost

A = "a" * 64
BUNDLE = f"/mnt/storage/overlay-containers/{A}/userdata"


IN_CONTAINERS = (
    f"0::/system.slice/docker-{A}.scope\n",
    f"0::/system.slice/docker-{A}.scope/init\n",
    f"4:memory:/docker/{A}\n1:name=systemd:/\n",
    f"0::/../docker-{A}.scope\n",
    "0::/lxc.payload.web/system.slice/docker.service\n",
    f"0::/machine.slice/libpod-{A}.scope/container\n",
)
OUTSIDE = ("0::/system.slice/docker.service\n", "", "0::/\n", "rubbish", "\xff:::/")


@pytest.mark.parametrize("membership", [*IN_CONTAINERS, *OUTSIDE])
def test_a_process_in_a_container_is_recognised_in_any_hierarchy_and_none_outside(membership: str) -> None:
    assert in_container(membership.encode("latin-1")) is (membership in IN_CONTAINERS)


@pytest.fixture
def host(tmp_path: Path) -> MadeUpHost:
    return MadeUpHost(str(tmp_path))


def run(
    host: MadeUpHost, pid: int, *arguments: str, uid: int = 0, comm: str = "", cgroup: str = "/system.slice/x.service"
) -> None:
    """A process with its command line."""
    host.process(pid, cgroup, namespace=5000 + pid)
    host.write(f"/proc/{pid}/comm", (comm or os.path.basename(arguments[0]))[:15] + "\n")
    host.write(f"/proc/{pid}/cmdline", b"\0".join(map(os.fsencode, arguments)) + b"\0")
    host.root.owners[f"/proc/{pid}"] = uid


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["dockerd", "--data-root", "/mnt/d"], ("docker", "/mnt/d")),
        (["/usr/bin/dockerd", "-H", "fd://", "--data-root=/mnt/d", "--debug"], ("docker", "/mnt/d")),
        (["dockerd", "-g", "/mnt/d"], ("docker", "/mnt/d")),
        (["dockerd", "-data-root", "/mnt/d"], ("docker", "/mnt/d")),
        (["dockerd", "--graph=/mnt/d"], ("docker", "/mnt/d")),
        (["dockerd", "--data-root=/mnt/d=e"], ("docker", "/mnt/d=e")),
        (["dockerd", "--data-root", "/mnt/\udcff"], ("docker", "/mnt/\udcff")),
        (["conmon", "-c", A, "-b", BUNDLE, "-p", "x"], ("podman", "/mnt/storage")),
        (["/usr/bin/conmon", "--bundle", BUNDLE], ("podman", "/mnt/storage")),
        (["conmon", f"--bundle={BUNDLE}/"], ("podman", "/mnt/storage")),
        (["dockerd"], None),
        (["dockerd", "--data-root"], None),
        (["dockerd", "--data-root", ""], None),
        (["dockerd", "--data-root", "relative/path"], None),
        (["dockerd", "--data-roots", "/mnt/d"], None),
        (["conmon", "-b", "/mnt/storage"], None),
        (["conmon", "-b", f"/overlay-containers/{A}/userdata"], None),
        (["conmon", "-b", f"/mnt/overlay-containers/{A[:-1]}/userdata"], None),
        (["conmon"], None),
        (["containerd", "--data-root", "/mnt/d"], None),
        (["sh", "-c", "dockerd --data-root /mnt/d"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_data_root_in_a_command_line(arguments: list[str], found: tuple[str, str] | None) -> None:
    assert root_of([os.fsencode(each) for each in arguments]) == found


def run_shim(host: MadeUpHost, pid: int, state: str, container: str = A, namespace: str = "moby") -> None:
    """One of the shims that keep containers running."""
    options = ("-namespace", namespace, "-id", container, "-address", f"{state}/containerd.sock")
    run(host, pid, "/usr/bin/containerd-shim-runc-v2", *options)


def bundle(host: MadeUpHost, state: str, source: str, container: str = A) -> None:
    mounts = [{"destination": "/proc", "source": "proc"}, {"destination": "/etc/hostname", "source": source}]
    host.write(f"{state}/io.containerd.runtime.v2.task/moby/{container}/config.json", json.dumps({"mounts": mounts}))


@pytest.mark.parametrize("state", ["/run/containerd", "/var/run/docker/containerd/daemon"])
def test_where_no_dockerd_runs_its_containers_shims_lead_to_its_data_root(host: MadeUpHost, state: str) -> None:
    run_shim(host, 10, state.removesuffix("/daemon"))
    run_shim(host, 11, "/run/gone")
    run_shim(host, 12, "/run/ctd", namespace="k8s.io")
    run_shim(host, 13, state, "../" + "b" * 61)
    for folder, source in ((state, f"/mnt/d/containers/{A}/hostname"), ("/run/ctd", f"/mnt/x/containers/{A}/hostname")):
        bundle(host, folder, source)
    run_shim(host, 14, "/run/other", "b" * 64)
    bundle(host, "/run/other", f"/mnt/d/containers/{A}/hostname", "b" * 64)  # of another container
    run_shim(host, 15, "/run/volume")
    bundle(host, "/run/volume", "/mnt/d/volumes/x")
    assert sorted(running_roots(host.root)) == [("containerd", "/run/ctd"), ("docker", "/mnt/d")]
    host.root.owners[f"{state}/io.containerd.runtime.v2.task/moby/{A}/config.json"] = 1000
    assert list(running_roots(host.root)) == [("containerd", "/run/ctd")], "a bundle that is not root's"


def test_the_state_of_another_containerd_is_where_its_shims_socket_is(host: MadeUpHost) -> None:
    for pid, namespace, state in (
        (11, "default", "/srv/ctd"), (12, "prod", "/srv/ctd"), (13, "prod", "/run/containerd"), (14, "moby", "/srv/d"),
        (15, "prod", "/srv/gone"), (16, "prod", "relative"),
    ):  # fmt: skip
        run(host, pid, "/usr/bin/containerd-shim-runc-v2", "-namespace", namespace, "-address", f"{state}/c.sock")
    run(host, 17, "/usr/bin/containerd-shim-runc-v2", "-namespace", "x", "-address", "/srv/users/c.sock", uid=1000)
    for state in ("/srv/ctd", "/srv/users", "/srv/d"):
        host.write(f"{state}/io.containerd.runtime.v2.task/prod/web/config.json", "{}")
    assert set(containerd_states(host.root)) == {"/srv/ctd"}
    assert ("containerd", "/srv/ctd") in set(running_roots(host.root))
    states: list[str] = []
    (source,) = LateSources(host.root, ["/run/containerd"], states=states)()
    assert source.runtime == "containerd" and isinstance(source.get("web@prod"), Metadata) and states == ["/srv/ctd"]


def test_of_many_shims_of_one_containerd_only_a_few_are_looked_at(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        run_shim(host, 10 + number, "/run/containerd", f"{number:064}")
    read: list[str] = []
    monkeypatch.setattr(StateFiles, "read", lambda self, path, *_: read.append(path))
    assert list(running_roots(host.root)) == []
    assert len({path.split("/")[-2] for path in read}) == 3


def test_every_engine_of_root_is_found_and_its_own_namespace_whatever_else_calls_itself_one(host: MadeUpHost) -> None:
    """An engine inside a container is that container's business: its data root and network are none of the host's."""
    data_root = "--data-root"
    run(host, 10, "/usr/bin/dockerd", data_root, "/mnt/d")
    run(host, 11, "/usr/bin/conmon", "-b", BUNDLE)
    run(host, 12, "/usr/bin/dockerd")
    run(host, 13, "/bin/sh", "-c", "dockerd --data-root=/mnt/x")
    run(host, 17, "dockerd", "-g", "/no/cgroup")
    host.write("/proc/17/cgroup", "")
    for pid, membership in enumerate(IN_CONTAINERS, 30):
        run(host, pid, "dockerd", data_root, "/forged")
        run(host, pid + 10, "conmon", "-b", BUNDLE.replace("/mnt", "/forged"))
        for each in (pid, pid + 10):
            host.write(f"/proc/{each}/cgroup", membership)
    run(host, 14, "dockerd", data_root, "/home/evil", uid=1000)
    run(host, 15, "conmon", "-b", BUNDLE.replace("/mnt", "/home"), uid=1000)
    run(host, 16, "dockerd", data_root, "/home/evil", comm="sleep")
    host.write("/proc/20/status", "")
    host.write("/proc/21/comm", "dockerd\n")
    host.write("/proc/22x/comm", "dockerd\n")
    for name, content in (("comm", "dockerd\n"), ("cgroup", "0::/\n"), ("cmdline", "")):
        host.write(f"/proc/23/{name}", content)  # a kernel thread or a zombie
    found = [("docker", "/mnt/d"), ("docker", "/no/cgroup"), ("podman", "/mnt/storage")]
    assert sorted(running_roots(host.root)) == found
    assert len(LateSources(host.root, ["/no/cgroup"])()) == 2
    assert EngineNamespaces(host.root)() == {5010, 5012, 5017}
    shutil.rmtree(host.real("/proc"))
    assert list(running_roots(host.root)) == []


# -- namespaces


def test_namespaces_are_looked_for_at_most_once_a_minute(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    namespaces = EngineNamespaces(host.root)
    assert namespaces() == frozenset()
    run(host, 10, "dockerd")
    now[0] += 59
    assert namespaces() == frozenset()
    now[0] += 2
    assert namespaces() == {5010}


# -- late sources


def test_a_source_is_made_for_each_root_that_is_new(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    late = LateSources(host.root, ["/var/lib/docker"])
    run(host, 10, "dockerd", "--data-root", "/var/lib/docker")
    assert late() == []
    run(host, 11, "dockerd", "--data-root", "/mnt/d")
    run(host, 12, "dockerd", "--data-root", "/mnt/d")
    run(host, 13, "conmon", "-b", BUNDLE)
    assert late() == []  # looked a moment ago
    now[0] += 11
    assert sorted(type(each).__name__ for each in late()) == ["DockerSource", "PodmanSource"]
    now[0] += 11
    assert late() == []


def test_a_late_source_reads_the_files_of_its_root_if_they_are_roots_and_is_said(
    host: MadeUpHost, caplog: pytest.LogCaptureFixture
) -> None:
    """A set-uid program under the name dockerd is a process of root, its arguments are the user's."""
    for pid, name, uid in ((10, "web", 0), (11, "evil", 1000)):
        run(host, pid, "dockerd", f"--data-root=/mnt/{name}/")
        host.docker(A, name, uid=uid, home=f"/mnt/{name}")
    with caplog.at_level(logging.INFO):
        sources = LateSources(host.root)()
    assert [type(each) for each in sources] == [DockerSource, DockerSource]
    assert [found.name for each in sources for found in each.all()] == ["web"]
    assert "engine=docker data_root=/mnt/web/ found by its process" in caplog.messages
