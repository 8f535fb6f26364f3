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
    engine_processes,
    root_of,
    running_roots,
)
from cgstatd.host.runtimes.base import Metadata
from cgstatd.host.runtimes.docker import DockerSource
from cgstatd.host.runtimes.podman import PodmanSource
from cgstatd.host.runtimes.statefile import StateFiles
from helpers import MadeUpHost

A = "a" * 64
BUNDLE = f"/mnt/storage/overlay-containers/{A}/userdata"


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


def test_every_engine_of_root_is_found(host: MadeUpHost) -> None:
    run(host, 10, "/usr/bin/dockerd", "--data-root", "/mnt/d")
    run(host, 11, "/usr/bin/conmon", "-b", BUNDLE)
    run(host, 12, "/usr/bin/dockerd")
    run(host, 13, "/bin/sh", "-c", "dockerd --data-root=/mnt/x")
    assert sorted(running_roots(host.root)) == [("docker", "/mnt/d"), ("podman", "/mnt/storage")]


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
    bundle(host, state, f"/mnt/d/containers/{A}/hostname")
    assert list(running_roots(host.root)) == [("docker", "/mnt/d")]


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


def test_what_a_shim_of_another_or_a_bundle_without_such_a_mount_says_is_not_taken(host: MadeUpHost) -> None:
    run_shim(host, 10, "/run/containerd", namespace="k8s.io")
    run_shim(host, 11, "/run/containerd", "b" * 64)
    run_shim(host, 12, "/run/containerd", "../" + "b" * 61)
    run_shim(host, 13, "/run/gone")
    bundle(host, "/run/containerd", "/mnt/d/volumes/x")
    bundle(host, "/run/containerd", f"/mnt/d/containers/{A}/hostname", "b" * 64)
    assert list(running_roots(host.root)) == []


def test_a_bundle_that_is_not_roots_is_not_believed(host: MadeUpHost) -> None:
    run_shim(host, 10, "/run/containerd")
    bundle(host, "/run/containerd", f"/mnt/d/containers/{A}/hostname")
    host.root.owners[f"/run/containerd/io.containerd.runtime.v2.task/moby/{A}/config.json"] = 1000
    assert list(running_roots(host.root)) == []


def test_of_many_shims_of_one_containerd_only_a_few_are_looked_at(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        run_shim(host, 10 + number, "/run/containerd", f"{number:064}")
    read: list[str] = []
    monkeypatch.setattr(StateFiles, "read", lambda self, path, *_: read.append(path))
    assert list(running_roots(host.root)) == []
    assert len({path.split("/")[-2] for path in read}) == 3


def test_anyone_may_call_a_process_of_theirs_dockerd_and_is_not_believed(host: MadeUpHost) -> None:
    run(host, 10, "dockerd", "--data-root", "/home/evil", uid=1000)
    run(host, 11, "conmon", "-b", BUNDLE, uid=1000)
    assert list(engine_processes(host.root)) == []


def test_a_process_of_another_program_is_none_whatever_it_calls_itself(host: MadeUpHost) -> None:
    run(host, 10, "dockerd", "--data-root", "/home/evil", comm="sleep")
    assert list(engine_processes(host.root)) == []


def test_an_engine_inside_a_container_is_that_containers_business(host: MadeUpHost) -> None:
    run(host, 10, "dockerd", "--data-root", "/inner", cgroup=f"/system.slice/docker-{A}.scope")
    run(host, 11, "dockerd", "--data-root", "/inner", cgroup="/lxc.payload.web/system.slice/docker.service")
    run(host, 12, "dockerd", "--data-root", "/inner", cgroup=f"/docker/{A}/init")
    assert list(running_roots(host.root)) == []
    assert EngineNamespaces(host.root)() == frozenset()


def test_processes_that_vanish_or_cannot_be_read_are_passed_over(host: MadeUpHost) -> None:
    host.write("/proc/10/status", "")
    host.write("/proc/11/comm", "dockerd\n")
    host.write("/proc/12x/comm", "dockerd\n")
    run(host, 13, "dockerd", "--data-root", "/mnt/d")
    host.write("/proc/14/comm", "dockerd\n")
    host.write("/proc/14/cgroup", "0::/\n")
    host.write("/proc/14/cmdline", "")  # a kernel thread or a zombie
    assert list(running_roots(host.root)) == [("docker", "/mnt/d")]
    EngineNamespaces(host.root)()


def test_without_proc_there_are_none(tmp_path: Path) -> None:
    host = MadeUpHost(str(tmp_path))
    shutil.rmtree(host.real("/proc"))
    assert list(running_roots(host.root)) == []


# -- namespaces


def test_dockerds_own_namespace_is_known_and_conmons_is_not_taken_for_it(host: MadeUpHost) -> None:
    run(host, 10, "dockerd")
    run(host, 11, "conmon", "-b", BUNDLE)
    assert EngineNamespaces(host.root)() == {5010}


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


def test_a_late_source_reads_the_files_of_its_root(host: MadeUpHost) -> None:
    run(host, 10, "dockerd", "--data-root=/mnt/d/")
    host.docker(A, "web", home="/mnt/d")
    (source,) = LateSources(host.root)()
    assert isinstance(source, DockerSource)
    found = source.get(A)
    assert isinstance(found, Metadata)
    assert found.name == "web"


def test_a_late_source_believes_only_files_of_root(host: MadeUpHost) -> None:
    """A set-uid program under the name dockerd is a process of root, its arguments are the user's."""
    run(host, 10, "dockerd", "--data-root=/home/evil")
    host.docker(A, "evil", uid=1000, home="/home/evil")
    (source,) = LateSources(host.root)()
    assert not isinstance(source.get(A), Metadata)
    assert list(source.all()) == []


def test_what_is_found_is_said(host: MadeUpHost, caplog: pytest.LogCaptureFixture) -> None:
    run(host, 10, "conmon", "-b", BUNDLE)
    with caplog.at_level(logging.INFO):
        (source,) = LateSources(host.root)()
    assert isinstance(source, PodmanSource)
    assert [record.message for record in caplog.records] == [
        "engine=podman data_root=/mnt/storage found by its process"
    ]
