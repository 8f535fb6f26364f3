#!/usr/bin/env python3
"""Turns a capture of a real host into a fixture: ``import_capture.py CAPTURE_DIR FIXTURE_DIR``. Standard library only.

tests/hostarchive.py then packs FIXTURE_DIR into the text that lies in fixtures/.

A capture is what was copied off a host that runs containers, read twice: ``{t0,t1}/…`` (files by their host paths),
``index.json`` (clocks, CPUs, and per pid the inode of /proc/<pid>/net/dev), ``perms.txt`` (mode and owner of the
runtimes' files) and ``expected/`` (what the engines themselves answered at t0 and t1, the dump of Podman's database).

A fixture is the recorded tree that ``cgstatd.recording.recorded_root`` reads, plus ``expected.json``, and is small
and harmless:

* **cgroups**: of containers every file that ``cgroupfs`` reads; of the payload below a container what discovery needs;
  of their ancestors the processes and the limits; a few plain services (docker.service, dbus.service, …) in full
  counters, so that something is there that is no container; monitors (conmon, lxc.monitor) with their processes only.
* **/proc**: the host's figures, mountinfo without the mounts that no reader looks at, and of each process of a
  container net/dev, cgroup, stat, status and comm. Never cmdline or environ.
* **names**: the runtimes' state files, reduced to whitelisted fields. Environment, command lines, mounts and network
  keys do not survive; a capture whose secret (``SECRET_ENV``) does is refused. Podman's db.sql is built anew from its
  dump with the JSON columns reduced in the same way. /etc/passwd is made up: root, nobody, and rooty (uid 1000).
* **index.json**: as ``cgstatd.recording.recorded_root`` documents it. A container's clock is the middle of the
  time its files took. Only Docker's were timed one by one; the others were read right after the last of them,
  and have that instant.
* **expected.json**::

      {"source": {"engine": "26.1.5", "kernel": "6.12.…", …},
       "containers": [
         {"runtime": "docker", "id": "…", "name": "web", "image": "…", "state": "running", "labels": {…}, "pod": null,
          "cgroup": "/system.slice/docker-….scope", "networkMode": "net1", "configuredMemoryLimit": 0,
          "t0": {"memoryUsage": 1, …, "pids": 1}, "t1": {…}, "cpuPercent": 1.23},
         {"runtime": "podman", …, "stats": {"mem_usage": "57.34kB / 67.11MB", …, "limit": 67108864}}]}

  Docker's figures are the engine's raw answers put through the formulas of docker/cli; ``cpuPercent`` is the engine's
  own counters between t0 and t1, over the host's ticks as the engine counts them; ``cpuPercentByClock`` (of every
  container that ran) is the CPU time in the files over the recorded monotonic clock. It is the truer one: on a host
  that loses ticks (these were emulated) the engine's figure is too high. Where the files and the answer were read at
  different instants and differ, the reading has ``"inexact": {"networkRx": {"api": 10, "files": 8, "allowed": 2}}``;
  every other figure is exact. ``"t0": null``: the engine was not asked, or had no answer (``flappy`` restarts each
  second). Podman's are the strings that ``podman stats`` printed between t0 and t1. ``cgroup``
  null: the container has none (stopped, or rootless on v1, where the processes stay in the caller's cgroup).
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any

Json = Any
READINGS = ("t0", "t1")
CGROUPS = "/sys/fs/cgroup"
MODES = {"v2": "unified", "v1": "legacy", "hybrid": "hybrid"}
DELEGATED = "/user.slice/user-1000.slice/user@1000.service"
UID = 1000
SECRET = b"s3cr3t"

V2_FILES = frozenset(
    "cgroup.procs cgroup.controllers cgroup.events cgroup.type cgroup.subtree_control cpu.stat cpu.max cpu.pressure "
    "cpuset.cpus cpuset.cpus.effective io.stat io.pressure memory.current memory.stat memory.min memory.low "
    "memory.high memory.max memory.peak memory.swap.current memory.swap.max memory.events memory.pressure "
    "pids.current pids.max pids.peak".split()
)
V1_FILES = frozenset(
    "cgroup.procs cpuacct.usage cpuacct.usage_user cpuacct.usage_sys cpu.stat cpu.cfs_quota_us cpu.cfs_period_us "
    "cpuset.cpus cpuset.effective_cpus memory.usage_in_bytes memory.stat memory.limit_in_bytes "
    "memory.soft_limit_in_bytes memory.max_usage_in_bytes memory.failcnt memory.oom_control "
    "memory.memsw.usage_in_bytes memory.memsw.limit_in_bytes blkio.throttle.io_service_bytes "
    "blkio.throttle.io_service_bytes_recursive blkio.throttle.io_serviced blkio.throttle.io_serviced_recursive "
    "blkio.bfq.io_service_bytes blkio.bfq.io_service_bytes_recursive pids.current pids.max freezer.state".split()
)
CONTAINER = V2_FILES | V1_FILES
PAYLOAD = frozenset("cgroup.procs cgroup.controllers cgroup.events cgroup.type freezer.state".split())
ANCESTOR = frozenset(
    "cgroup.procs cgroup.controllers cgroup.subtree_control cpu.max memory.max memory.high pids.max "
    "cpu.cfs_quota_us cpu.cfs_period_us memory.limit_in_bytes".split()
)
SERVICE = frozenset(
    "cgroup.procs cgroup.controllers cgroup.events cpu.stat memory.current memory.stat memory.max io.stat pids.current "
    "cpuacct.usage memory.usage_in_bytes memory.limit_in_bytes blkio.throttle.io_service_bytes freezer.state".split()
)
TOP = ANCESTOR | frozenset("cpu.stat io.stat memory.stat cpu.pressure io.pressure memory.pressure".split())
MONITOR = frozenset({"cgroup.procs"})
SERVICES = re.compile(r"/system\.slice/(docker|dbus|containerd)\.service|/system\.slice/docker\.socket|/init\.scope")
MONITORS = re.compile(r"/lxc\.monitor\.[^/]+|.*/libpod-conmon-[0-9a-f]{64}\.scope")
USER = re.compile(r"(/[^/]+\.slice)+(/user@\d+\.service(/user\.slice)?)?")

HOST_PROC = "stat meminfo uptime loadavg version cgroups self/cgroup 1/cgroup 1/net/dev 1/stat 1/comm".split()
PID_PROC = "net/dev cgroup stat status comm".split()
STATE_FILES = re.compile(
    r"/etc/docker/daemon\.json|/var/lib/docker/containers/\w+/(config\.v2|hostconfig)\.json|"
    r"(/var/lib|/home/\w+/\.local/share)/containers/storage/overlay-containers/(containers|\w+/userdata/config)\.json|"
    r"/run/(user/\d+/)?crun/\w+/status|/var/lib/lxc/[^/]+/config|/run/systemd/machines/[^/]+"
)
DATABASES = {
    "/var/lib/containers/storage/db.sql": "podman-db.sql.txt",
    "/home/rooty/.local/share/containers/storage/db.sql": "rooty-podman-db.sql.txt",
}
PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
rooty:x:1000:1000::/home/rooty:/bin/bash
"""

# Whitelists: True keeps a value, a dict goes down into an object; everything that is not named is dropped.
KEEP: dict[str, Json] = {
    "config.v2.json": {
        "ID": True,
        "Name": True,
        "Created": True,
        "Image": True,
        "RestartCount": True,
        "Config": {"Image": True, "Labels": True},
        "State": dict.fromkeys(
            "Running Paused Restarting RemovalInProgress Dead OOMKilled Pid ExitCode StartedAt FinishedAt".split(), True
        ),
    },
    "hostconfig.json": dict.fromkeys(
        "NetworkMode Memory MemorySwap MemoryReservation NanoCpus CpuPeriod CpuQuota CpusetCpus PidsLimit CgroupParent "
        "CgroupnsMode PidMode Runtime".split(),
        True,
    ),
    "daemon.json": {"exec-opts": True, "data-root": True, "exec-root": True, "storage-driver": True},
    "containers.json": {"id": True, "names": True, "image": True, "metadata": True, "created": True},
    "config.json": {
        "ociVersion": True,
        "annotations": {"io.container.manager": True, "io.kubernetes.cri-o.SandboxID": True},
        "linux": {
            "cgroupsPath": True,
            "namespaces": True,
            "resources": {"memory": True, "cpu": True, "pids": True},
        },
    },
    "status": dict.fromkeys(
        "pid process-start-time cgroup-path scope systemd-cgroup bundle created owner".split(), True
    ),
    "ContainerConfig": dict.fromkeys(
        "id name pod rootfsImageID rootfsImageName RawImageName labels createdTime isInfra pause createNetNS "
        "networkMode netNsCtr cgroupManager cgroupsMode cgroupParent runtime isService".split(),
        True,
    ),
    "ContainerState": dict.fromkeys(
        "state pid conmonPid netns startedTime finishedTime exitCode exited oomKilled cgroupPath".split(), True
    ),
    "PodConfig": dict.fromkeys("id name labels cgroupParent sharesNet sharesCgroup hasInfra created".split(), True),
    "PodState": {"cgroupPath": True, "InfraContainerID": True},
}


class Unusable(Exception):
    """The capture cannot be imported; the text says why."""


def load(path: str) -> Json:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def save(path: str, data: bytes) -> None:
    if SECRET in data:
        raise Unusable(f"{path}: would hold the secret of the capture's environment")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def save_json(path: str, value: Json) -> None:
    save(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")


def reduce(value: Json, keep: Json) -> Json:
    """``value`` with the fields that ``keep`` names, lists item by item."""
    if keep is True or value is None:
        return value
    if isinstance(value, list):
        return [reduce(item, keep) for item in value]
    return {key: reduce(value[key], inner) for key, inner in keep.items() if key in value}


# -- cgroups -----------------------------------------------------------------------------------------------------------


def below_mount(path: str, unified: bool) -> str:
    """The cgroup's own path: without the controller's name in front on v1."""
    return path if unified else "/" + path.lstrip("/").partition("/")[2]


def container_paths(index: Json, unified: bool) -> dict[str, str]:
    """Cgroup path below the mounts -> key of the container (id, or name where there is no id)."""
    paths = {}
    for container in index["containers"]:
        found = {below_mount(path, unified) for path in container["cgroups"]}
        found = {path for path in found if not MONITORS.fullmatch(path)}
        if found:
            paths[min(found, key=len)] = container.get("id") or container["name"]
    return paths


def wanted_files(path: str, containers: dict[str, str]) -> frozenset[str]:
    """Which files of the cgroup at ``path`` (below the mount) a fixture keeps."""
    if path in containers:
        return CONTAINER
    if any(path.startswith(outer + "/") for outer in containers):
        return PAYLOAD
    if path in ("", "/"):
        return TOP
    if SERVICES.fullmatch(path):
        return SERVICE
    if MONITORS.fullmatch(path) or path == DELEGATED + "/init.scope":
        return MONITOR
    inner = any(outer.startswith(path + "/") for outer in containers)
    return ANCESTOR if inner or (path.startswith("/user.slice") and USER.fullmatch(path)) else frozenset()


def walk_cgroups(tree: str, unified: bool) -> Iterator[tuple[str, str]]:
    """(host path, path below the mount) of each cgroup directory."""
    for base, names, _ in os.walk(tree + CGROUPS):
        names.sort()
        host = base[len(tree) :]
        if host != CGROUPS or unified:
            yield host, below_mount(host[len(CGROUPS) :], unified).rstrip("/")


def copy_cgroups(source: str, target: str, unified: bool, containers: dict[str, str]) -> set[int]:
    """Copy what is wanted; the pids of containers."""
    pids = set()
    for host, path in walk_cgroups(source, unified):
        wanted = wanted_files(path, containers)
        for name in sorted(wanted.intersection(os.listdir(source + host))):
            data = content(f"{source}{host}/{name}")
            save(f"{target}{host}/{name}", data)
            if name == "cgroup.procs" and wanted in (CONTAINER, PAYLOAD):
                pids.update(int(pid) for pid in data.split())
    return pids


# -- /proc and the runtimes' state -------------------------------------------------------------------------------------


OTHER_MOUNTS = frozenset({b"/", b"/proc", b"/sys", b"/sys/fs/cgroup", b"/run", b"/tmp"})


def trim_mountinfo(data: bytes) -> bytes:
    """The cgroup mounts, and of the others the root's own top."""
    kept = []
    for line in data.splitlines(keepends=True):
        left, _, right = line.partition(b" - ")
        if right.startswith(b"cgroup") or left.split()[4] in OTHER_MOUNTS:
            kept.append(line)
    return b"".join(kept)


def copy_proc(source: str, target: str, pids: set[int]) -> None:
    names = [*HOST_PROC, *(f"{pid}/{name}" for pid in sorted(pids) for name in PID_PROC)]
    for name in names:
        if os.path.isfile(f"{source}/proc/{name}"):
            save(f"{target}/proc/{name}", content(f"{source}/proc/{name}"))
    for resource in ("cpu", "io", "memory"):  # the root cgroup's files and /proc/pressure are the same figures
        if os.path.isfile(path := f"{source}/sys/fs/cgroup/{resource}.pressure"):
            save(f"{target}/proc/pressure/{resource}", content(path))
    for who in ("self", "1"):
        path = f"/proc/{who}/mountinfo"
        if os.path.isfile(source + path):
            save(target + path, trim_mountinfo(content(source + path)))


def copy_state(source: str, target: str) -> None:
    """The files that names come from; secrets are not merely removed, only known fields are taken over."""
    for base, names, files in os.walk(source):
        names[:] = sorted(name for name in names if not (base == source and name in ("proc", "sys")))
        for name in sorted(files):
            host = f"{base[len(source) :]}/{name}"
            if not STATE_FILES.fullmatch(host):
                continue
            data = content(source + host)
            if name in KEEP:
                save_json(target + host, reduce(json.loads(data), KEEP[name]))
            elif name.startswith("unit:"):  # a symbolic link on the host
                os.makedirs(os.path.dirname(target + host), exist_ok=True)
                os.symlink(re.findall(r"^NAME=(.+)$", data.decode(), re.MULTILINE)[0], target + host)
            else:
                save(target + host, data)
    save(target + "/etc/passwd", PASSWD.encode())


def dumps(capture: str) -> dict[str, str]:
    """Host path of each of Podman's databases -> its dump in the capture."""
    found = {path: f"{capture}/expected/{dump}" for path, dump in DATABASES.items()}
    return {path: dump for path, dump in found.items() if os.path.isfile(dump) and b"CREATE TABLE" in content(dump)}


def build_database(dump: str, target: str) -> None:
    """A small db.sql with Podman's own schema for the tables that say names and states."""
    full = sqlite3.connect(":memory:")
    full.executescript(content(dump).decode())
    if not full.execute("SELECT count(*) FROM ContainerConfig").fetchone()[0]:
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    small = sqlite3.connect(target)
    small.execute("PRAGMA page_size = 1024")
    small.execute("PRAGMA journal_mode = DELETE")
    for table in ("ContainerConfig", "ContainerState", "PodConfig", "PodState"):
        small.execute(full.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])
        for row in full.execute(f"SELECT * FROM {table}"):
            reduced = json.dumps(reduce(json.loads(row[-1]), KEEP[table])).encode()
            marks = ", ".join("?" * len(row))
            small.execute(f"INSERT INTO {table} VALUES ({marks})", (*row[:-1], reduced))
    small.commit()
    small.execute("VACUUM")
    small.close()
    full.close()
    if SECRET in content(target):
        raise Unusable(f"{target}: would hold the secret of the capture's environment")


def pod_names(capture: str) -> dict[str, str]:
    """Container id -> its pod's name."""
    names = {}
    for dump in dumps(capture).values():
        db = sqlite3.connect(":memory:")
        db.executescript(content(dump).decode())
        names.update(db.execute("SELECT c.ID, p.Name FROM ContainerConfig c JOIN PodConfig p ON c.PodID = p.ID"))
        db.close()
    return names


# -- index.json --------------------------------------------------------------------------------------------------------


def instant(snapshot: Json, time: float) -> Json:
    """A wall clock time of the capture on both clocks."""
    monotonic = snapshot["monotonic"] + time - snapshot["time"]
    return {"monotonic_ns": round(monotonic * 1e9), "time_ms": math.floor(time * 1000)}


def owners(capture: str) -> dict[str, int]:
    """Host path -> uid, of what perms.txt says is not root's."""
    found = {}
    for line in content(f"{capture}/perms.txt").decode().splitlines():
        _, owner, path = line.split(" ", 2)
        uid = int(owner.partition(":")[0])
        if uid:
            found[path] = uid
    return found


def reading(capture: str, fixture: str, name: str, index: Json, containers: dict[str, str], unified: bool) -> Json:
    snapshot, tree = index["snapshots"][name], f"{fixture}/{name}"
    files: dict[str, Json] = {}
    for pid, facts in sorted(snapshot["pids"].items(), key=lambda item: int(item[0])):
        path = f"/proc/{pid}/net/dev"
        if os.path.isfile(tree + path) and isinstance(facts["netdev_ino"], int):
            files[path] = {"inode": facts["netdev_ino"]}
    delegated = (CGROUPS if unified else f"{CGROUPS}/systemd") + DELEGATED
    for host, _ in walk_cgroups(tree, unified):
        if host == delegated or host.startswith(delegated + "/"):
            files[host] = {"uid": UID}
    for path, uid in owners(capture).items():
        if os.path.lexists(tree + path):
            files[path] = {"uid": uid}
    timed = load(f"{capture}/expected/docker-oneshot-{name}.json")
    after = instant(snapshot, max((entry["api_done"] for entry in timed.values()), default=snapshot["time"]))
    clocks = {}
    for path, key in containers.items():
        entry = timed.get(key)
        if any(host.endswith(path) for host, _ in walk_cgroups(tree, unified)):
            clocks[path] = instant(snapshot, (entry["files_from"] + entry["files_to"]) / 2) if entry else after
    return {**instant(snapshot, snapshot["time"]), "files": files, "clocks": clocks}


# -- expected.json -----------------------------------------------------------------------------------------------------


def half_up(value: float) -> float:
    """Two decimals, as JavaScript's Math.round(x * 100) / 100."""
    return math.floor(value * 100 + 0.5) / 100


def figures(raw: int, cache: int, limit: int, network: tuple[int, int], block: tuple[int, int], pids: int) -> Json:
    usage = raw - cache if 0 < cache < raw else raw
    return {
        "memoryUsage": usage,
        "memoryRaw": raw,
        "memoryCache": cache,
        "memoryLimit": limit,
        "memoryPercent": half_up(usage / limit * 100) if limit else 0,
        "networkRx": network[0],
        "networkTx": network[1],
        "blockRead": block[0],
        "blockWrite": block[1],
        "pids": pids,
    }


def api_figures(api: Json) -> Json:
    """docker/cli's formulas on one answer of the engine; zeros for a container that does not run."""
    memory = api.get("memory_stats", {})
    stats = memory.get("stats", {})
    networks = (api.get("networks") or {}).values()
    entries = api.get("blkio_stats", {}).get("io_service_bytes_recursive") or []

    def block(operation: str) -> int:
        return sum(entry["value"] for entry in entries if entry["op"].lower() == operation)

    return figures(
        memory.get("usage", 0),
        stats.get("total_inactive_file", stats.get("inactive_file", 0)),
        memory.get("limit", 0),
        (sum(n["rx_bytes"] for n in networks), sum(n["tx_bytes"] for n in networks)),
        (block("read"), block("write")),
        api.get("pids_stats", {}).get("current", 0),
    )


def keyed(data: bytes) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in data.decode().splitlines())}


def net_dev(data: bytes) -> tuple[int, int]:
    received = sent = 0
    for line in data.decode().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            received += int(numbers.split()[0])
            sent += int(numbers.split()[8])
    return received, sent


class Files:
    """The same figures from the fixture's own files, by code that shares nothing with the library under test."""

    def __init__(self, tree: str, unified: bool) -> None:
        self.tree = tree
        self.unified = unified
        self.total = next(int(line.split()[1]) * 1024 for line in self._read("/proc/meminfo").decode().splitlines())

    def _read(self, path: str) -> bytes:
        return content(self.tree + path)

    def _cgroup(self, controller: str, cgroup: str, name: str) -> bytes:
        return self._read(f"{CGROUPS}{'' if self.unified else '/' + controller}{cgroup}/{name}")

    def limit(self, cgroup: str) -> int:
        text = self._cgroup("memory", cgroup, "memory.max" if self.unified else "memory.limit_in_bytes").strip()
        return self.total if text == b"max" else min(int(text), self.total)

    def _block(self, cgroup: str) -> tuple[int, int]:
        if self.unified:
            text, pattern = self._cgroup("", cgroup, "io.stat").decode(), r"\b{}=(\d+)"
            keys = ("rbytes", "wbytes")
        else:
            text = self._cgroup("blkio", cgroup, "blkio.throttle.io_service_bytes").decode()
            pattern, keys = r" {} (\d+)", ("Read", "Write")
        read, written = (sum(map(int, re.findall(pattern.format(key), text))) for key in keys)
        return read, written

    def cpu_nsec(self, cgroup: str) -> int:
        if self.unified:
            return keyed(self._cgroup("cpu", cgroup, "cpu.stat"))["usage_usec"] * 1000
        return int(self._cgroup("cpu,cpuacct", cgroup, "cpuacct.usage"))

    def _network(self, cgroup: str, pid: int, mode: str) -> tuple[int, int]:
        return (0, 0) if mode in ("host", "none") else net_dev(self._read(f"/proc/{pid}/net/dev"))

    def figures(self, cgroup: str, pid: int, mode: str) -> Json:
        stat = keyed(self._cgroup("memory", cgroup, "memory.stat"))
        raw = self._cgroup("memory", cgroup, "memory.current" if self.unified else "memory.usage_in_bytes")
        return figures(
            int(raw),
            stat["inactive_file" if self.unified else "total_inactive_file"],
            self.limit(cgroup),
            self._network(cgroup, pid, mode),
            self._block(cgroup),
            int(self._cgroup("pids", cgroup, "pids.current")),
        )


def inexact(api: Json, files: Json) -> Json:
    return {
        key: {"api": api[key], "files": files[key], "allowed": round(abs(api[key] - files[key]), 2)}
        for key in api
        if api[key] != files[key]
    }


def cpu_percent(before: Json, after: Json) -> float:
    """From the engine's own counters, as docker/cli computes it."""
    first, second = before.get("cpu_stats", {}), after.get("cpu_stats", {})
    if not first.get("system_cpu_usage") or not second.get("system_cpu_usage"):
        return 0
    system = second["system_cpu_usage"] - first["system_cpu_usage"]
    total = second["cpu_usage"]["total_usage"] - first["cpu_usage"]["total_usage"]
    return half_up(total / system * second["online_cpus"] * 100) if system > 0 and total > 0 else 0


def docker_expected(capture: str, container: Json, cgroup: str | None, files: dict[str, Files]) -> Json:
    identity = container["id"]
    with_state = load(f"{capture}/t1/var/lib/docker/containers/{identity}/hostconfig.json")
    extra: Json = {"networkMode": container["network_mode"], "configuredMemoryLimit": with_state["Memory"]}
    answers = {}
    for name in READINGS:
        answers[name] = load(f"{capture}/expected/docker-oneshot-{name}.json").get(identity, {}).get("api", {})
        if "cpu_stats" not in answers[name] and container["state"] not in ("created", "exited"):
            extra[name] = None  # restarting while it was asked
            continue
        extra[name] = api_figures(answers[name])
        if cgroup and extra[name]["memoryRaw"]:
            differing = inexact(extra[name], files[name].figures(cgroup, container["pid"], container["network_mode"]))
            if differing:
                extra[name]["inexact"] = differing
    if all(extra[name] for name in READINGS):
        extra["cpuPercent"] = cpu_percent(answers["t0"], answers["t1"])
    return extra


def podman_expected(capture: str, container: Json, cgroup: str | None, files: dict[str, Files]) -> Json:
    name = "podman-stats.json" if container["runtime"] == "podman" else "rooty-podman-stats.json"
    try:
        printed = {entry["id"]: entry for entry in load(f"{capture}/expected/{name}")}
    except ValueError:
        printed = {}  # rootless on v1: "not supported in rootless mode without cgroups v2"
    entry = printed.get(container["id"])
    if entry is None or cgroup is None:
        return {"stats": None}
    keys = ("mem_usage", "mem_percent", "net_io", "block_io", "pids", "cpu_time", "cpu_percent")
    return {"stats": {**{key: entry[key] for key in keys}, "limit": files["t0"].limit(cgroup)}}


def percent_by_clock(fixture: str, cgroup: str, files: dict[str, Files]) -> float | None:
    """None: not there in both readings."""
    readings = load(f"{fixture}/index.json")["readings"]
    try:
        used = files["t1"].cpu_nsec(cgroup) - files["t0"].cpu_nsec(cgroup)
    except FileNotFoundError:
        return None
    clocks = [readings[name]["clocks"][cgroup]["monotonic_ns"] for name in READINGS]
    return half_up(used / (clocks[1] - clocks[0]) * 100)


def expected(capture: str, fixture: str, index: Json, containers: dict[str, str], unified: bool) -> Json:
    info = load(f"{capture}/expected/docker-info.json")
    clocks = {path for reading in load(f"{fixture}/index.json")["readings"].values() for path in reading["clocks"]}
    paths = {key: path for path, key in containers.items() if path in clocks}
    pods = pod_names(capture)
    files = {name: Files(f"{fixture}/{name}", unified) for name in READINGS}
    special: dict[str, Callable[..., Json]] = {
        "docker": docker_expected,
        "podman": podman_expected,
        "podman-rootless": podman_expected,
    }
    entries = []
    for container in index["containers"]:
        cgroup = paths.get(container.get("id") or container["name"])
        entry = {
            "runtime": container["runtime"],
            "id": container.get("id", container["name"]),
            "name": container["name"],
            "image": container.get("image"),
            "state": container.get("state", "running"),
            "labels": container.get("labels") or {},
            "pod": pods.get(container.get("id", "")),
            "cgroup": cgroup,
        }
        if container["runtime"] in special:
            entry |= special[container["runtime"]](capture, container, cgroup, files)
        if cgroup:
            entry["cpuPercentByClock"] = percent_by_clock(fixture, cgroup, files)
        entries.append(entry)
    source = {
        "engine": info["ServerVersion"],
        "kernel": index["kernel"],
        "cgroupDriver": info["CgroupDriver"],
        "cgroupVersion": int(info["CgroupVersion"]),
        "memTotal": info["MemTotal"],
        "cpus": info["NCPU"],
    }
    return {"source": source, "containers": entries}


def import_capture(capture: str, fixture: str) -> None:
    """Replace the fixture with what the capture gives. Raises Unusable."""
    index = load(f"{capture}/index.json")
    unified = index["mode"] == "v2"
    containers = container_paths(index, unified)
    if os.path.isdir(fixture):
        shutil.rmtree(fixture)
    readings = {}
    for name in READINGS:
        source, target = f"{capture}/{name}", f"{fixture}/{name}"
        pids = copy_cgroups(source, target, unified, containers)
        copy_proc(source, target, pids)
        copy_state(source, target)
        for path, dump in dumps(capture).items():
            build_database(dump, target + path)
        readings[name] = reading(capture, fixture, name, index, containers, unified)
    host = {"kernel": index["kernel"], "mode": MODES[index["mode"]], "cpus": index["cpus"], "page_size": index["page"]}
    save_json(f"{fixture}/index.json", {"format": 1, "host": host, "readings": readings})
    save_json(f"{fixture}/expected.json", expected(capture, fixture, index, containers, unified))


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    try:
        import_capture(arguments[0].rstrip("/"), arguments[1].rstrip("/"))
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
