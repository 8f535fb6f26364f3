"""What the newer readers read is in a recording too: health, networks, ports, ends, sizes of logs; and no secret."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cgroupfs import Clock, Root
from cgstatd.host.runtimes import (
    containerd,
    crio,
    docker,
    docker_health,
    docker_networks,
    endpoints,
    health_log,
    libpod,
    oci,
)
from cgstatd.host.runtimes.base import Configured, Health, LogSize, Metadata, Volume
from cgstatd.host.runtimes.docker import DockerSource
from cgstatd.recording import reduced_database as reduce
from cgstatd.recording import reduced_state
from cgstatd.recording.record_host import record_host
from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling.health_checks import health_of
from cgstatd.sampling.log_sizes import log_of
from cgstatd.sampling.open_host import HostOptions, open_host
from helpers import MadeUpHost

from ..host.runtimes.written import BURN, Row, config, database

ID = "0123456789abcdef" * 4
SECRET = "hunter2-s3cret"
STORAGE = "/var/lib/containers/storage"
RUN = f"/run/containers/storage/overlay-containers/{BURN}"
OPTIONS = HostOptions(follow=False)
CHECK = {"Test": ["CMD-SHELL", f"curl -H {SECRET}"], "Interval": 5_000_000_000, "StartPeriod": 1, "StartInterval": 2}
PROBE = {"Start": "2026-11-27T19:08:27.036Z", "End": "2026-11-27T19:08:27.5Z", "ExitCode": 1, "Output": SECRET}
RESULTS = {"Status": "unhealthy", "FailingStreak": 3, "Log": [PROBE, PROBE]}
NETWORK = "25ab" * 16
NETWORKS = json.dumps(
    {"id": NETWORK, "labels": {"x": SECRET}, "name": SECRET, "networkType": "macvlan"}, separators=(",", ":")
)
HOSTCONFIG = {
    "NetworkMode": "shop", "Memory": 1 << 26, "MemorySwap": 1 << 27, "NanoCpus": 500_000_000, "CpuQuota": 7,
    "CpuPeriod": 8, "PidsLimit": 55, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    "LogConfig": {"Type": "splunk", "Config": {"splunk-token": SECRET}}, "Binds": [SECRET],
}  # fmt: skip
DOCKER: dict[str, Any] = {
    "State": {"Running": True, "StartedAt": "2026-11-27T19:00:00Z", "Health": RESULTS, "Dead": False},
    "Config": {"Image": "busybox:1", "Labels": {"app": "web"}, "Healthcheck": CHECK, "Env": [SECRET],
               "Hostname": "web.internal", "Tty": True, "Domainname": SECRET},
    "Path": "/bin/server",
    "Args": [SECRET],
    "RestartCount": 7,
    "MountPoints": {
        f"/{SECRET}": {"Name": "data", "Driver": "local", "RW": False, "Source": SECRET, "Destination": f"/{SECRET}"},
        f"/{SECRET}/bound": {"Name": "", "Source": SECRET, "RW": True},
    },
    "NetworkSettings": {
        "SandboxKey": SECRET,
        "Networks": {
            "shop": {
                "NetworkID": NETWORK, "EndpointID": "3da0", "Gateway": "172.18.0.1", "IPAddress": "172.18.0.3",
                "IPPrefixLen": 16, "MacAddress": "02:42:ac:12:00:03", "DriverOpts": {"x": SECRET}, "Links": [SECRET],
            },
        },
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": None},
    },
}  # fmt: skip


def podman_row(**state: Any) -> Row:
    status = {"podman": {"interfaces": {"eth0": {
        "subnets": [{"ipnet": "10.88.0.2/16", "gateway": "10.88.0.1"}, {"ipnet": "fd00::2/64"}],
        "mac_address": "9a:00:00:00:00:01",
    }}}}  # fmt: skip
    mappings = [{"host_ip": "127.0.0.1", "container_port": 80, "host_port": 8080, "range": 2, "protocol": "udp"}]
    now = {"state": 3, "pid": 1, "restartCount": 4, "runDir": f"{RUN}/userdata", "networkStatus": status} | state
    volumes = [{"volumeName": "data", "dest": SECRET, "options": ["ro"]}, {"volumeName": "more", "dest": SECRET}]
    made = config(
        healthcheck=CHECK, newPortMappings=mappings, namedVolumes=volumes, restart_policy="always", restart_retries=2,
        logDriver="journald",
    )  # fmt: skip
    made["spec"]["process"]["terminal"], made["spec"]["hostname"] = True, "web.internal"
    made["spec"]["linux"]["resources"]["cpu"] = {"quota": 50_000, "period": 100_000}
    return BURN, "pm-burn", None, made, now


@pytest.fixture
def host(tmp_path: Path) -> MadeUpHost:
    """A container of Docker's and one of Podman's."""
    made = MadeUpHost(str(tmp_path / "host"))
    made.container(f"/system.slice/docker-{ID}.scope", pids=[71])
    made.docker(ID, "web", config=DOCKER)
    for path, text in ((f"containers/{ID}/hostconfig.json", json.dumps(HOSTCONFIG)), (docker_networks.FILE, NETWORKS)):
        made.write(f"/var/lib/docker/{path}", text)
        os.chmod(made.real(f"/var/lib/docker/{path}"), 0o600)
    made.container(f"/machine.slice/libpod-{BURN}.scope", pids=[72])
    for path, data in ((f"{STORAGE}/db.sql", database(podman_row())), (f"{RUN}/healthcheck.log", json.dumps(RESULTS))):
        made.write(path, data)
        os.chmod(made.real(path), 0o600)
    return made


def recorded(host: MadeUpHost, tmp_path: Path) -> tuple[str, Root]:
    out = str(tmp_path / "recorded")
    record_host(host.root, OPTIONS, out, 0)
    return out, open_roots(out)[0]


def told(root: Root) -> dict[str, tuple[Any, Any, Any]]:
    """Name -> metadata, health, size of the log."""
    with closing(open_host(root, OPTIONS)) as sampler:
        return {
            each.identity.name: (
                each.identity.metadata,
                health_of(sampler.names, each, Clock(0, 1_795_806_000_000)),
                log_of(sampler.names, each, 0),
            )
            for each in sampler.containers()
        }


def test_a_recording_says_of_each_container_what_its_host_does(host: MadeUpHost, tmp_path: Path) -> None:
    host.write(f"/var/lib/docker/containers/{ID}/{ID}-json.log", SECRET * 10)
    host.write(f"/var/lib/docker/containers/{ID}/{ID}-json.log.1", SECRET * 20)
    host.write(f"{STORAGE}/overlay-containers/{BURN}/userdata/ctr.log", SECRET * 3)
    before = told(host.root)
    assert before["pm-burn"][1] == Health("unhealthy", None, 3, 1795806507.5)
    assert before["web"][1].status == "unhealthy"
    assert before["web"][2].size == LogSize(f"/var/lib/docker/containers/{ID}/{ID}-json.log", 30 * len(SECRET), 2)
    assert before["web"][0].endpoints and before["web"][0].ports and before["pm-burn"][0].ports
    made = before["web"][0].configured
    assert made == Configured(
        hostname="web.internal", terminal=True, restart_policy="on-failure", restart_retries=3, log_driver="splunk",
        cpus=0.5, cpu_quota_usec=7, cpu_period_usec=8, pids_limit=55, memory_and_swap_bytes=1 << 27,
        volumes=(Volume("data", "local", writable=False),),
    )  # fmt: skip
    assert before["web"][0].endpoints[0].driver == "macvlan"
    made = before["pm-burn"][0].configured
    assert made == Configured(
        hostname="web.internal", terminal=True, restart_policy="always", restart_retries=2, log_driver="journald",
        cpus=0.5, cpu_quota_usec=50_000, cpu_period_usec=100_000, pids_limit=2048, memory_and_swap_bytes=1 << 27,
        volumes=(Volume("data", "", writable=False), Volume("more")),
    )  # fmt: skip
    out, root = recorded(host, tmp_path)
    assert told(root) == before
    files = [f"{base}/{name}" for base, _, names in os.walk(out) for name in names]
    assert [path for path in files if SECRET.encode() in Path(path).read_bytes()] == []
    assert sum(os.path.getsize(path) for path in files if path.endswith((".log", ".log.1"))) < 500
    again = str(tmp_path / "again")
    record_host(root, OPTIONS, again, 0)
    assert told(open_roots(again)[0]) == before


TASK = {
    "process": {"env": [SECRET], "args": [SECRET], "terminal": True}, "hostname": "task",
    "linux": {"resources": {"pids": {"limit": 9}, "cpu": {"quota": 1, "period": 2}, "memory": {"swap": 5}}},
}  # fmt: skip


@pytest.mark.parametrize(("namespace", "key"), [("k8s.io", "c" * 64), ("default", "web")])
def test_a_task_of_containerd_is_what_it_was_with_its_pid(
    host: MadeUpHost, tmp_path: Path, namespace: str, key: str
) -> None:
    folder = f"/run/containerd/io.containerd.runtime.v2.task/{namespace}/{key}"
    host.write(f"{folder}/config.json", json.dumps(TASK))
    host.write(f"{folder}/init.pid", "4711")
    out, root = recorded(host, tmp_path)
    found = containerd.ContainerdSource(root).get(key)
    assert isinstance(found, Metadata) and found.pid == 4711
    assert found == containerd.ContainerdSource(host.root).get(key)
    assert (found.configured.hostname, found.configured.terminal, found.configured.pids_limit) == ("task", True, 9)
    assert SECRET.encode() not in Path(f"{out}/t0{folder}/config.json").read_bytes()


def test_another_containerds_state_is_found_in_a_recording_as_on_its_host(host: MadeUpHost, tmp_path: Path) -> None:
    shim = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "prod", "-address", "/srv/ctd/containerd.sock", SECRET)
    host.process(4242, "/system.slice/containerd.service", namespace=9242)
    host.write("/proc/4242/comm", "containerd-shim\n")
    host.write("/proc/4242/cmdline", "\0".join(shim) + "\0")
    host.write("/srv/ctd/io.containerd.runtime.v2.task/prod/web/config.json", json.dumps(TASK))
    host.container("/prod/web", pids=[74])
    before = told(host.root)
    assert before["web@prod"][0].configured.hostname == "task"
    out, root = recorded(host, tmp_path)
    assert told(root)["web@prod"] == before["web@prod"]
    files = [Path(base, name) for base, _, names in os.walk(out) for name in names]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"healthcheck": None},
        {"healthcheck": {"Test": ["NONE"]}},
        {"healthLogDestination": "/var/log/health"},
        {"healthLogDestination": "events_logger"},
        {"healthLogDestination": "relative"},
        {"netNsCtr": "a" * 64},
        {"createNetNS": False, "networkMode": ""},
    ],
)
def test_a_row_of_podmans_database_reads_as_before(changes: dict[str, Any]) -> None:
    key, name, pod, made, now = podman_row()
    data = database((key, name, pod, made | changes, now))
    assert libpod.parse(reduce.podman_database(data)) == libpod.parse(data)
    assert SECRET.encode() not in reduce.podman_database(data)


def test_the_exit_codes_of_containers_that_podman_removed_are_kept() -> None:
    script = (
        "CREATE TABLE ContainerExitCode(ID TEXT PRIMARY KEY NOT NULL, Timestamp INTEGER NOT NULL, ExitCode INTEGER);"
        f"INSERT INTO ContainerExitCode VALUES ('{'e' * 64}', 1795806507, 137);"
    )
    data = database(podman_row(state=6, exited=True, exitCode=3, oomKilled=True), script=script)
    found = libpod.parse(reduce.podman_database(data))
    assert found == libpod.parse(data) and found.exit_codes["e" * 64].code == 137


@pytest.mark.parametrize("more", [{"Dead": True}, {"RemovalInProgress": True}, {"Health": None}])
def test_a_file_of_dockers_reads_as_before(host: MadeUpHost, tmp_path: Path, more: dict[str, Any]) -> None:
    host.docker(ID, "web", config=DOCKER | {"State": DOCKER["State"] | more})
    _, root = recorded(host, tmp_path)
    assert DockerSource(root).get(ID) == DockerSource(host.root).get(ID)


EACH = reduced_state.EACH
CONFIG, HOST, HEALTH, CRIO = (
    reduced_state._fields(kind) for kind in (docker.Container, docker.HostConfig, health_log.Written, crio.Config)
)
TASK_KEPT = reduced_state._TASK


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (docker.Container, CONFIG),
        (docker._State, CONFIG["State"]),
        (docker._Config, CONFIG["Config"]),
        (docker._Mount, CONFIG["MountPoints"][EACH]),
        (docker.HostConfig, HOST),
        (docker._RestartPolicy, HOST["RestartPolicy"]),
        (docker._LogConfig, HOST["LogConfig"]),
        (docker_health.Check, CONFIG["Config"]["Healthcheck"]),
        (health_log.Written, HEALTH),
        (health_log._Probe, HEALTH["Log"]),
        (endpoints.NetworkSettings, CONFIG["NetworkSettings"]),
        (endpoints._Network, CONFIG["NetworkSettings"]["Networks"][EACH]),
        (endpoints._Binding, CONFIG["NetworkSettings"]["Ports"][EACH]),
        (containerd.Bundle, TASK_KEPT),
        (oci.Linux, TASK_KEPT["linux"]),
        (oci._Resources, TASK_KEPT["linux"]["resources"]),
        (oci.Process, TASK_KEPT["process"]),
        (containerd._Annotations, TASK_KEPT["annotations"]),
        (crio._Annotations, CRIO["annotations"]),
    ],
)
def test_every_field_that_a_reader_has_is_kept(kind: type[msgspec.Struct], kept: dict[str, Any]) -> None:
    assert {field.encode_name for field in msgspec.structs.fields(kind)} <= kept.keys()


def document(keep: dict[str, Any], *, plain: Any) -> dict[str, Any]:
    """An object with every field that is kept, ``plain`` where a field has no fields, and a secret beside each."""
    found = {name: plain if inner is None else document(inner, plain=plain) for name, inner in keep.items()}
    return found | {"Env": SECRET, "other": {"deep": [SECRET]}} if EACH not in keep else found


@pytest.mark.parametrize(
    ("reduce", "kind"),
    [
        (reduced_state.docker_config, docker.Container),
        (reduced_state.docker_hostconfig, docker.HostConfig),
        (reduced_state.docker_daemon, docker.DaemonConfig),
        (reduced_state.health_log, health_log.Written),
        (reduced_state.containerd_config, containerd.Bundle),
        (reduced_state.crio_state, crio.Now),
        (reduced_state._crio_config, crio.Config),
    ],
)
@pytest.mark.parametrize("plain", ["kept", ["kept", [SECRET], {"x": SECRET}], {"a": "kept", "b": {"x": SECRET}}])
def test_no_secret_beside_or_below_a_field_that_is_read_survives(
    reduce: Callable[[bytes], bytes], kind: type[msgspec.Struct], plain: Any
) -> None:
    whole = document(reduced_state._fields(kind), plain=plain)
    if "MountPoints" in whole:
        whole["MountPoints"][EACH]["Name"] = "data"
    for given in (whole, {name: [value] for name, value in whole.items()}):
        assert SECRET.encode() not in reduce(json.dumps(given).encode())
    assert b"kept" in reduce(json.dumps(whole).encode())


def test_of_mounts_the_named_volumes_alone_are_kept() -> None:
    found = json.loads(reduced_state.docker_config(json.dumps(DOCKER).encode()))
    assert found["MountPoints"] == {"0": {"Name": "data", "Driver": "local", "RW": False}}


@pytest.mark.parametrize("state", containerd.STATES)
def test_a_task_is_recorded_below_each_of_containerds_own_states(host: MadeUpHost, tmp_path: Path, state: str) -> None:
    folder = f"{state}/io.containerd.runtime.v2.task/k8s.io/{'c' * 64}"
    host.write(f"{folder}/config.json", json.dumps(TASK))
    host.write(f"{folder}/init.pid", "4711")
    out, _ = recorded(host, tmp_path)
    assert sorted(os.listdir(f"{out}/t0{folder}")) == ["config.json", "init.pid"]


def test_no_secret_of_a_list_of_containers_survives() -> None:
    keep = {**reduced_state._STORED, "metadata": None}
    entry = document(keep, plain="kept") | {"metadata": json.dumps(document(reduced_state._TOOL, plain="kept"))}
    found = reduced_state.storage_list(json.dumps([entry, entry | {"metadata": SECRET}]).encode())
    assert SECRET.encode() not in found and b"pod-name" in found


SECRETS = set("Args Cmd Entrypoint Env Test Source Destination Binds args env mounts path metadata".split())
"""Names under which engines keep commands, environments, places and keys."""


def names(keep: dict[str, Any] | None) -> set[str]:
    """Every name that is kept, at any depth."""
    return {*(keep or ()), *(name for inner in (keep or {}).values() for name in names(inner))}


def test_no_reader_makes_a_recording_keep_a_command_or_a_place() -> None:
    """A struct that begins to read one of these must be reduced before it is recorded."""
    others = map(reduced_state.kept, (docker.DaemonConfig, crio.Now))
    for keep in (CONFIG, HOST, HEALTH, CRIO, TASK_KEPT, reduced_state._STORED, reduced_state._TOOL, *others):
        assert not names(keep) & SECRETS


def test_of_bytes_that_no_struct_describes_nothing_can_be_kept() -> None:
    class Undescribed(msgspec.Struct):
        anything: msgspec.Raw

    with pytest.raises(TypeError, match="Raw"):
        reduced_state.kept(Undescribed)
