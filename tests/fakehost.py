"""A small cgroup v2 host with Docker containers, made of plain files that a test changes while they are read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Clock, Root
from cgstatd.host.discovery import Discovery
from cgstatd.recording.recorded_root import Reading, RecordedRoot, open_roots
from cgstatd.sampling.container import Container
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.reading_failed import ReadingFailed
from cgstatd.sampling.sampler import Pending, Sampler
from helpers import write_files
from recordedhosts import recorded_host

MEM_TOTAL = 4 << 30
_NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     999       1    0    0    0     0          0         0      999       1    0    0    0     0       0          0
  eth0: {rx:7}       1    0    0    0     0          0         0  {tx:7}       1    0    0    0     0       0          0
"""  # noqa: E501  the kernel's own width


class LiveRoot(RecordedRoot):
    """The tree as root's, whoever runs the tests, read at the real time."""

    __slots__ = ()

    def clock(self, path: str = "") -> Clock:
        return Root.clock(self, path)


class HostClock:
    """The host's clocks, which go on when told."""

    def __init__(self, began: Clock) -> None:
        self.now = began

    def on(self, seconds: float) -> None:
        """So much later."""
        passed = round(seconds * 1000)
        self.now = Clock(self.now.monotonic_ns + passed * 1_000_000, self.now.time_ms + passed)


def container_id(name: str) -> str:
    """The 64 hex digits that a container of this name gets."""
    return hashlib.sha256(name.encode()).hexdigest()


ENGINE_FILES = {
    "proc/stat": "cpu  1000 0 1000 7000 500 0 0 500 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nbtime 1795606461\n",
    "proc/sys/kernel/ostype": "Linux\n",
    "proc/sys/kernel/hostname": "web1\n",
    "proc/sys/kernel/osrelease": "6.12.0\n",
    "proc/sys/kernel/version": "#1\n",
    "proc/sys/kernel/domainname": "(none)\n",
    "proc/sys/kernel/arch": "x86_64\n",
}
"""What the Engine API's routes read of a host beside its containers: two processors, booted at a known time."""


class FakeHost:
    """The host's files below ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = 100
        self._write(
            {
                "proc/1/mountinfo": "32 24 0:27 / /sys/fs/cgroup rw,nosuid shared:10 - cgroup2 cgroup2 rw\n",
                "proc/1/net/dev": _NET_DEV.format(rx=5, tx=5),
                "proc/meminfo": f"MemTotal: {MEM_TOTAL // 1024} kB\n",
                "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
                "sys/fs/cgroup/system.slice/cgroup.procs": "",
            }
        )

    def _write(self, files: dict[str, bytes | str]) -> None:
        write_files(str(self.path), files)

    def scope(self, name: str) -> Path:
        """A running container's cgroup directory."""
        return self.path / f"sys/fs/cgroup/system.slice/docker-{container_id(name)}.scope"

    def add(
        self,
        name: str,
        *,
        usage_usec: int = 1_000_000,
        memory: int = 3 << 20,
        cache: int = 1 << 20,
        limit: str = "max",
        rx: int = 1000,
        tx: int = 500,
        read: int = 4096,
        written: int = 8192,
        frozen: bool = False,
        labels: dict[str, str] | None = None,
    ) -> str:
        """A running (or frozen) container; its id."""
        self._pid += 1
        # First, as engines do: whoever sees the cgroup finds its name.
        self.on_disk(name, running=True, pid=self._pid, labels=labels)
        cgroup = str(self.scope(name).relative_to(self.path))
        self._write(
            {
                f"{cgroup}/cpu.stat": f"usage_usec {usage_usec}\nuser_usec 0\nsystem_usec {usage_usec}\n",
                f"{cgroup}/memory.current": f"{memory}\n",
                f"{cgroup}/memory.stat": f"anon 1\nfile 2\ninactive_file {cache}\n",
                f"{cgroup}/memory.max": f"{limit}\n",
                f"{cgroup}/io.stat": f"8:0 rbytes={read} wbytes={written} rios=1 wios=1 dbytes=0 dios=0\n",
                f"{cgroup}/cgroup.events": f"populated 1\nfrozen {int(frozen)}\n",
                f"{cgroup}/cgroup.procs": f"{self._pid}\n",
                f"{cgroup}/pids.current": "1\n",
                f"{cgroup}/pids.max": "max\n",
                f"proc/{self._pid}/cgroup": f"0::/system.slice/{self.scope(name).name}\n",
                f"proc/{self._pid}/net/dev": _NET_DEV.format(rx=rx, tx=tx),
            }
        )
        return container_id(name)

    def on_disk(
        self,
        name: str,
        *,
        running: bool = False,
        limit: int = 0,
        shown: str | None = None,
        pid: int = 0,
        labels: dict[str, str] | None = None,
    ) -> str:
        """What the engine's state says of a container; its id."""
        folder = f"var/lib/docker/containers/{container_id(name)}"
        state: dict[str, Any] = {"Running": running, "Pid": pid, "StartedAt": "2026-11-25T10:56:40.719158146Z"}
        inner = {"Image": "lab/busybox:1"} | ({} if labels is None else {"Labels": labels})
        config = {"State": state, "Config": inner, "Name": f"/{name if shown is None else shown}"}
        self._write(
            {
                f"{folder}/config.v2.json": json.dumps(config),
                f"{folder}/hostconfig.json": json.dumps({"NetworkMode": "bridge", "Memory": limit}),
            }
        )
        for file in ("config.v2.json", "hostconfig.json"):
            os.chmod(self.path / folder / file, 0o600)
        return container_id(name)

    def config(self, name: str, **parts: Any) -> None:
        """Change parts of what the engine's state says, objects key by key: a new file in its place, as Docker does."""
        path = self.path / "var/lib/docker/containers" / container_id(name) / "config.v2.json"
        config = json.loads(path.read_text())
        for key, value in parts.items():
            config[key] = config.get(key, {}) | value if isinstance(value, dict) else value
        new = path.with_suffix(".new")
        new.write_text(json.dumps(config))
        new.chmod(0o600)
        new.rename(path)

    def set(self, name: str, file: str, content: str) -> None:
        """Rewrite one file of a container's cgroup in place: readers keep it open."""
        with open(self.scope(name) / file, "r+", encoding="utf-8") as opened:
            opened.truncate()
            opened.write(content)

    def burn(self, name: str, usage_usec: int) -> None:
        """Set a container's CPU time."""
        self.set(name, "cpu.stat", f"usage_usec {usage_usec}\n")

    def make_unreadable(self, name: str, file: str) -> None:
        """Reading the file fails (EISDIR), whoever reads it."""
        (self.scope(name) / file).unlink()
        (self.scope(name) / file).mkdir()

    def remove(self, name: str, *, from_disk: bool = False) -> None:
        """The container's cgroup is gone; with ``from_disk`` its state too."""
        shutil.rmtree(self.scope(name))
        if from_disk:
            shutil.rmtree(self.path / "var/lib/docker/containers" / container_id(name))

    def recreate(self, name: str, **figures: Any) -> None:
        """The container was restarted: the same path is another directory now, with a process of its own."""
        old = self.scope(name).rename(self.path / f"old-{self._pid}")  # kept, so that its inode is not used again
        assert old.is_dir()
        self.add(name, **figures)

    def root(self) -> LiveRoot:
        """The host as the reader sees it."""
        return LiveRoot(str(self.path), Reading(monotonic_ns=0, time_ms=0))

    def sampler(self) -> Sampler:
        """A sampler of the host."""
        return open_host(self.root(), HostOptions())

    def record(self, directory: Path, readings: int = 2) -> str:
        """A recorded tree of the host as it is, for --host-root; every reading is the same, two seconds apart."""
        names = [f"t{n}" for n in range(readings)]
        for name in names:
            shutil.copytree(self.path, directory / name, symlinks=True)
        times = {name: {"monotonic_ns": 2_000_000_000 * (n + 1), "time_ms": n} for n, name in enumerate(names)}
        (directory / "index.json").write_text(json.dumps({"format": 1, "host": {}, "readings": times}))
        return str(directory)


def recorded_sampler(name: str) -> Sampler:
    """A sampler of a recorded host's second reading, at the real time."""
    root = open_roots(recorded_host(name))[1]
    assert isinstance(root, RecordedRoot)
    live = LiveRoot(root.path, Reading(monotonic_ns=0, time_ms=0, files=root.reading.files))
    return open_host(live, HostOptions())


def net_dev(host: FakeHost, name: str) -> Path:
    """The network counters of a container's first process."""
    pid = (host.scope(name) / "cgroup.procs").read_text().strip()
    return host.path / f"proc/{pid}/net/dev"


def share_network(host: FakeHost) -> None:
    """a is in the network namespace of b: the same inode."""
    net_dev(host, "a").unlink()
    os.link(net_dev(host, "b"), net_dev(host, "a"))


class Hang:
    """Makes readings block as a dying disk does, until ``release``; counts every reading."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        """Containers whose readings hang."""
        self.passed = "traffic"
        """Which half of a reading does not hang (nor does one that is never begun)."""
        self.listing = False
        self.reads: list[str] = []
        self.baselines: list[str] = []
        self.seconds: list[str] = []
        self.listings = 0
        self._released = threading.Event()
        self._patch(monkeypatch, "counters", self.reads)
        self._patch(monkeypatch, "traffic", [])
        self._patch(monkeypatch, "read_cpu", self.baselines)
        self._patch(monkeypatch, "second_cpu", self.seconds)
        refresh = Discovery.refresh

        def listing(discovery: Discovery) -> Any:
            self.listings += 1
            if self.listing:
                self._released.wait(30)
            return refresh(discovery)

        monkeypatch.setattr(Discovery, "refresh", listing)

    def _patch(self, monkeypatch: pytest.MonkeyPatch, method: str, calls: list[str]) -> None:
        original = getattr(Container, method)

        def reading(container: Container, *arguments: Any) -> Any:
            calls.append(container.identity.name)
            if container.identity.name in self.names and method != self.passed:
                self._released.wait(30)
            return original(container, *arguments)

        monkeypatch.setattr(Container, method, reading)

    def release(self) -> None:
        """Everything that hangs goes on."""
        self.names.clear()
        self.listing = False
        self._released.set()

    def hold(self) -> None:
        """What hangs from now on does so until the next :meth:`release`."""
        self._released.clear()


def burn_once_read(host: FakeHost, name: str, usage_usec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a container's CPU time between its first reading and the next one."""
    counters = Container.counters

    def read(container: Container, *arguments: Any) -> Any:
        found = counters(container, *arguments)
        if container.identity.name == name:
            host.burn(name, usage_usec)
        return found

    monkeypatch.setattr(Container, "counters", read)


@contextmanager
def unreadable(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Inside, readings of a container fail as a whole."""
    counters = Container.counters

    def read(container: Container, *arguments: Any) -> Any:
        if container.identity.name == name:
            raise ReadingFailed("cannot read cpu.stat: Input/output error")
        return counters(container, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Container, "counters", read)
        yield


def sampling_threads() -> list[threading.Thread]:
    """Sampling threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "cgstatd-sampler"]


@contextmanager
def no_thread_left() -> Iterator[None]:
    """No sampling thread outlives what is inside."""
    before = set(sampling_threads())
    yield
    while set(sampling_threads()) - before:
        time.sleep(0.005)


def readings(sampler: Sampler) -> Iterator[tuple[Container, ContainerStats | None]]:
    """A reading of each container, None where it is gone; second readings are taken at once."""
    namespaces = sampler.namespaces()
    for container in sampler.containers():
        stats = sampler.read(container, namespaces)
        yield container, sampler.second(stats) if isinstance(stats, Pending) else stats
