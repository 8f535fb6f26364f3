"""What several test files need: the recorded hosts, and what is expected of them."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from cgroupfs import Absent, Cgroup, Clock, Directory, Hierarchy, Identity, Mount, Root, Selection, Version, detect
from cgroupfs.pseudofs import absence
from cgroupfs.reader import Plan
from recordedhosts import beside_readings, recorded_host

if TYPE_CHECKING:  # not every program that uses this module needs it
    from pyfakefs.fake_filesystem import FakeFilesystem

R = TypeVar("R")
PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOSTS = ("debian13-v2-systemd", "debian12kernel-v1-systemd", "debian12kernel-v1-cgroupfs")
UNIFIED, LEGACY, LEGACY_CGROUPFS = HOSTS
RECORDED = ("debian12kernel-hybrid-docker", "debian13-v2-containerd")
"""Written by `cgstatd record` on booted hosts (tests/e2e): no engine's answers beside them."""
DEMO = "demo-hybrid-docker"
"""What `make demo` plays: tools/fixtures/demo-host, recorded."""
READINGS = ("t0", "t1")
TREES = tuple((host, reading) for host in HOSTS for reading in READINGS)


def tree(host: str, reading: str = "t0") -> str:
    """The directory of one reading of a recorded host."""
    return f"{recorded_host(host)}/{reading}"


@functools.cache
def expected(host: str) -> dict[str, Any]:
    """What the engines said of a recorded host (see tools/fixtures/import_capture.py)."""
    found: dict[str, Any] = json.loads(beside_readings(host, "expected.json"))
    return found


for _host in HOSTS:
    expected(_host)  # before a test puts a made-up file system in place of the real one


def fail_reads(patch: pytest.MonkeyPatch, number: int) -> None:
    """From now on each read of an open file fails with this errno."""

    def fail(fd: int, size: int, offset: int = 0) -> bytes:
        raise OSError(number, os.strerror(number))

    for name in ("read", "pread"):
        patch.setattr(os, name, fail)


def container(host: str, name: str) -> dict[str, Any]:
    """One container of expected.json."""
    return next(entry for entry in expected(host)["containers"] if entry["name"] == name)


@functools.cache
def recorded(host: str, reading: str = "t0") -> tuple[Root, Hierarchy]:
    """A recorded host as the library sees it."""
    root = Root(tree(host, reading))
    return root, detect(root)


def cgroup(host: str, name: str, reading: str = "t0") -> Cgroup:
    """A recorded container's cgroup."""
    return Cgroup(*recorded(host, reading), container(host, name)["cgroup"])


def cgroups(host: str, reading: str = "t0") -> list[tuple[str, Cgroup]]:
    """(name, cgroup) of every container that is there in the reading."""
    names = [entry["name"] for entry in expected(host)["containers"] if entry["cgroup"]]
    found = [(name, cgroup(host, name, reading)) for name in names]
    return [(name, group) for name, group in found if group.exists()]


def at_its_real_path(fs: FakeFilesystem, host: str, name: str) -> Cgroup:
    """A container of a recorded host whose files pyfakefs shows at /sys and /proc."""
    from pyfakefs.fake_filesystem_unittest import Pause

    with Pause(fs):  # perhaps nothing has asked for this host yet
        top = tree(host)
    for each in ("sys", "proc"):
        fs.add_real_directory(f"{top}/{each}", target_path=f"/{each}")
    root = Root("/")
    return Cgroup(root, detect(root), container(host, name)["cgroup"])


def made_cgroup(tmp_path: Path, version: Version, files: Mapping[str, bytes | str]) -> Cgroup:
    """A cgroup at /c of one tree that holds every controller."""
    write_files(str(tmp_path), {f"cg/c/{name}": data for name, data in files.items()})
    os.makedirs(tmp_path / "cg/c", exist_ok=True)
    controllers = ("cpu", "cpuacct", "cpuset", "memory", "io", "pids", "freezer")
    mount = Mount("/cg", "/", version, frozenset(controllers))
    bound = tuple((name, mount) for name in controllers)
    return Cgroup(Root(str(tmp_path)), Hierarchy("unified", bound, (mount,)), "/c")


class FakeDirectory(Directory):
    """A directory whose files are given: content, or the errno that opening or reading gives. The only double here.

    ENODEV and EOPNOTSUPP are the kernel's answers and cannot come from a tree of plain files.
    """

    __slots__ = ("files",)

    def __init__(self, files: Mapping[str, bytes | int], path: str = "/sys/fs/cgroup/fake") -> None:
        self.path, self.fd, self.inode, self.files = path, -1, 1, files

    def content(self, name: str) -> bytes | Absent:
        """As Directory.content, with its own classification."""
        found = self.files.get(name, errno.ENOENT)
        return absence(OSError(found, os.strerror(found)), f"{self.path}/{name}") if isinstance(found, int) else found

    def alive(self) -> bool:
        """It is there as long as its files do not say otherwise."""
        return True


Given = FakeDirectory | Mapping[str, bytes | int] | None


def read_record(selection: Selection[R], version: Version, files: Given, **others: Given) -> R:
    """A set of fields from a directory or the files of one; ``others``: of controllers that have another one."""

    def made(given: Given) -> FakeDirectory | None:
        return FakeDirectory(given) if isinstance(given, Mapping) else given

    common = made(files)
    given = {each: made(others[each]) if each in others else common for each in selection.controllers}
    trees = {str(id(each)): each for each in given.values()}
    plan = Plan(selection, lambda controller: (str(id(given[controller])), version))
    return plan.read([trees[tree] for tree in plan.trees])


def write_files(top: str, files: Mapping[str, bytes | str]) -> str:
    """Make the files (with their directories) below ``top``; returns ``top``."""
    for name, data in files.items():
        path = os.path.join(top, name)
        try:
            file = open(path, "wb")  # noqa: SIM115  closed below
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = open(path, "wb")  # noqa: SIM115
        with file:
            file.write(data if isinstance(data, bytes) else data.encode())
    return top


def near(value: float) -> Any:
    """A number that rounding may have changed, in the place of one in a record."""
    return pytest.approx(value)


def unexplained(record: Any) -> list[str]:
    """Fields of a record, and of the records in it, that are None without a reason in ``missing``."""
    known = reasons(record)
    found = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        inner = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
        found += [name.name for name in inner if getattr(value, name.name) is None and name.name not in known]
        if value is None and field.name not in known:
            found.append(field.name)
    return found


def reasons(record: Any) -> dict[str, Absent]:
    """Field, without its controller -> why it is missing."""
    return {missing.field.rpartition(".")[2]: missing.reason for missing in record.missing}


class OwnedRoot(Root):
    """A tree of plain files whose owners and inodes are as given: root's and the files' own where nothing is said.

    ``now_ns`` stops both clocks at an instant; None: they go on.
    """

    __slots__ = ("inodes", "now_ns", "owners")

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.owners: dict[str, int] = {}
        self.inodes: dict[str, int] = {}
        self.now_ns: int | None = None

    def identity(self, path: str, fd: int | None = None) -> Identity:
        """As given. Raises OSError where there is no such file."""
        found = super().identity(path, fd)
        return Identity(self.inodes.get(path, found.inode), self.owners.get(path, 0))

    def clock(self, path: str = "") -> Clock:
        """The instant given, or now."""
        return super().clock(path) if self.now_ns is None else Clock(self.now_ns, self.now_ns // 1_000_000)


NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    {lo}       1    0    0    0     0          0         0     {lo}       1    0    0    0     0       0          0
  eth0:    {rx}       1    0    0    0     0          0         0     {tx}       1    0    0    0     0       0          0
"""  # noqa: E501  the kernel's own width
_V1_TREES = {
    "cpu,cpuacct": "cpu,cpuacct",
    "memory": "memory",
    "blkio": "blkio",
    "freezer": "freezer",
    "systemd": "xattr,name=systemd",
}


class MadeUpHost:
    """A small host below a directory, to be changed at will: mounts, containers' cgroups and their processes."""

    def __init__(self, top: str, version: int = 2) -> None:
        self.top = str(top)
        self.version = version
        self.root = OwnedRoot(self.top)
        if version == 2:
            self.points = {"": "/sys/fs/cgroup"}
            mounts = "30 24 0:27 / /sys/fs/cgroup rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
            self.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
        else:
            self.points = {name: f"/sys/fs/cgroup/{name}" for name in _V1_TREES}
            mounts = "".join(
                f"{number} 24 0:{number} / /sys/fs/cgroup/{name} rw shared:9 - cgroup cgroup rw,{options}\n"
                for number, (name, options) in enumerate(_V1_TREES.items(), 30)
            )
        for point in self.points.values():
            os.makedirs(self.real(point), exist_ok=True)
        self.write("/proc/self/mountinfo", mounts)
        self.write("/proc/meminfo", "MemTotal:        1000000 kB\nMemFree:          500000 kB\n")
        self.write("/proc/1/net/dev", NET_DEV.format(lo=1, rx=777_000, tx=888_000))
        self.root.inodes["/proc/1/net/dev"] = 1

    def real(self, path: str) -> str:
        """Where a host path is."""
        return self.top + path

    def write(self, path: str, data: str | bytes) -> None:
        """A file of the host."""
        write_files(self.top, {path.lstrip("/"): data if isinstance(data, bytes) else os.fsencode(data)})

    def directories(self, path: str) -> list[str]:
        """Host paths of a cgroup's directories, one per tree."""
        return [point + path for point in self.points.values()]

    def directory(self, tree: str, path: str) -> str:
        """The host path of a cgroup's directory in one v1 tree; of v2's only one."""
        return self.points["" if self.version == 2 else tree] + path

    def mkdir(self, path: str, uid: int = 0) -> None:
        """A cgroup without files of its own, in every tree."""
        for each in self.directories(path):
            os.makedirs(self.real(each), exist_ok=True)
            if uid:
                self.root.owners[each] = uid

    def rmdir(self, path: str) -> None:
        """Remove a cgroup with everything below it."""
        for each in self.directories(path):
            shutil.rmtree(self.real(each), ignore_errors=True)

    def container(self, path: str, *, uid: int = 0, pids: Sequence[int] = (), frozen: bool = False) -> None:
        """A container's cgroup with 1 s of CPU time, 5,000,000 bytes of memory, 1,000,000 of them inactive page cache,
        a limit of 64 MiB, 4096 bytes read and 8192 written."""
        self.mkdir(path, uid)
        self.cpu(path, 1_000_000)
        self.memory(path, 5_000_000, 1_000_000, 64 << 20)
        self.freeze(path, frozen)
        device = "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
        blkio = "8:0 Read 4096\n8:0 Write 8192\nTotal 12288\n"
        self.file("blkio", path, "io.stat", "blkio.throttle.io_service_bytes", device, blkio)
        self.procs(path, pids)

    def file(self, tree: str, path: str, name2: str, name1: str, data2: str, data1: str | None = None) -> None:
        """One file of a cgroup by its names and contents on v2 and on v1."""
        name, data = (name2, data2) if self.version == 2 else (name1, data2 if data1 is None else data1)
        self.write(f"{self.directory(tree, path)}/{name}", data)

    def cpu(self, path: str, usec: int) -> None:
        """CPU time used."""
        stat = f"usage_usec {usec}\nuser_usec {usec}\nsystem_usec 0\n"
        self.file("cpu,cpuacct", path, "cpu.stat", "cpuacct.usage", stat, f"{usec * 1000}\n")

    def memory(self, path: str, raw: int, cache: int, limit: int | None) -> None:
        """Memory, its inactive page cache, its limit."""
        self.file("memory", path, "memory.current", "memory.usage_in_bytes", f"{raw}\n")
        self.file("memory", path, "memory.stat", "memory.stat", f"anon 1\ninactive_file {cache}\n")
        unlimited = ("max", str((1 << 63) - 4096))
        limits = unlimited if limit is None else (str(limit), str(limit))
        self.file("memory", path, "memory.max", "memory.limit_in_bytes", f"{limits[0]}\n", f"{limits[1]}\n")

    def freeze(self, path: str, frozen: bool) -> None:
        """Pause or unpause."""
        state = "FROZEN" if frozen else "THAWED"
        events = f"populated 1\nfrozen {int(frozen)}\n"
        self.file("freezer", path, "cgroup.events", "freezer.state", events, f"{state}\n")

    def procs(self, path: str, pids: Sequence[int]) -> None:
        """Its processes, in every tree; those that are new get a network namespace of their own."""
        for each in self.directories(path):
            self.write(f"{each}/cgroup.procs", "".join(f"{pid}\n" for pid in pids))
        for pid in pids:
            if not os.path.isdir(self.real(f"/proc/{pid}")):
                self.process(pid, path)

    def process(self, pid: int, path: str, *, rx: int = 1000, tx: int = 2000, namespace: int = 0) -> None:
        """A process: its membership and its network namespace (by default its own)."""
        trees = ("",) if self.version == 2 else _V1_TREES.values()
        self.write(f"/proc/{pid}/cgroup", "".join(f"{n}:{each}:{path}\n" for n, each in enumerate(trees)))
        self.write(f"/proc/{pid}/net/dev", NET_DEV.format(lo=5, rx=rx, tx=tx))
        self.root.inodes[f"/proc/{pid}/net/dev"] = namespace or 1_000_000 + pid

    def docker(self, container_id: str, name: str, *, uid: int = 0, home: str = "/var/lib/docker", **more: Any) -> None:
        """A container's files in Docker's data root."""
        folder = f"{home}/containers/{container_id}"
        config = {"Name": f"/{name}", "Config": {"Image": "busybox:1", "Labels": {"app": name}}}
        config |= more.pop("config", {})
        for file, content in (("config.v2.json", config), ("hostconfig.json", {"NetworkMode": "bridge"} | more)):
            self.write(f"{folder}/{file}", json.dumps(content))
            os.chmod(self.real(f"{folder}/{file}"), 0o600)
            self.root.owners[f"{folder}/{file}"] = uid


believed = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: only root's files are believed, and a made-up host's are whose the tests are"
)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Run as nobody where the tests run as root: permissions count then."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(uid)


def open_descriptors() -> list[str]:
    """What this process' descriptors are open on."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return found


def make_cgroup() -> str:
    """A new cgroup of the real kernel, to be removed by the caller; skips the test where none can be made."""
    for point in ("/sys/fs/cgroup", "/sys/fs/cgroup/freezer", "/sys/fs/cgroup/pids"):
        path = f"{point}/cgstatd-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            os.mkdir(path)
            if os.path.exists(f"{path}/cgroup.procs"):
                return path
            os.rmdir(path)
    pytest.skip("no cgroup can be made here")


def remove_cgroup(path: str) -> None:
    """Its processes have ended; the kernel may need a moment to notice."""
    for _ in range(200):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
    os.rmdir(path)


def failing_close(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From now on closing closes and answers EIO, as a file system that went away does; the numbers closed so far."""
    closed: list[int] = []
    close = os.close

    def failing(fd: int) -> None:
        close(fd)
        closed.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", failing)
    return closed
