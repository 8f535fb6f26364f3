"""Readings of a whole host, and everything that can go wrong with one of them."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cgroupfs import CgroupGone, Descriptors, Directory, KeptFile, hangs
from cgstatd.host.procfs.process import Process
from cgstatd.host.runtimes.base import State
from cgstatd.outputs.stats_json import one_container
from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling import open_host as host_module
from cgstatd.sampling import registry as listing_module
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_files import OpenFiles
from cgstatd.sampling.open_host import HostOptions, descriptor_budget, open_host
from cgstatd.sampling.reading_failed import ReadingFailed
from cgstatd.sampling.registry import ListingFailed
from cgstatd.sampling.sampler import Pending, Sampler
from fakehost import readings
from helpers import LEGACY, PROJECT, UNIFIED, MadeUpHost, open_descriptors, unprivileged
from recordedhosts import recorded_host

A, B, C = "a" * 64, "b" * 64, "c" * 64
PATH = f"/docker/{A}"
SECOND = 1_000_000_000


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    made = MadeUpHost(str(tmp_path), request.param)
    made.docker(A, "web")
    made.container(PATH, pids=[7])
    made.root.now_ns = 100 * SECOND
    return made


Open = Callable[..., Sampler]


@pytest.fixture
def opened(host: MadeUpHost) -> Iterator[Open]:
    samplers: list[Sampler] = []

    def sampler(**options: Any) -> Sampler:
        samplers.append(open_host(host.root, HostOptions(**options)))
        return samplers[-1]

    yield sampler
    for each in samplers:
        each.close()


def read(sampler: Sampler) -> dict[str, ContainerStats]:
    """Every container that is shown, by id."""
    return {stats.identity.id: stats for _, stats in readings(sampler) if stats is not None}


def only(sampler: Sampler) -> ContainerStats:
    (stats,) = read(sampler).values()
    return stats


def failure(sampler: Sampler) -> str:
    with pytest.raises(ReadingFailed) as raised:
        read(sampler)
    return str(raised.value)


def name_of(host: MadeUpHost, tree: str, v2: str, v1: str) -> str:
    """The real path of one of the container's files."""
    return host.real(f"{host.directory(tree, PATH)}/{v2 if host.version == 2 else v1}")


def replace(host: MadeUpHost) -> None:
    """Restart the container: another cgroup at the same path."""
    for each in host.directories(PATH):
        os.rename(host.real(each), host.real(f"{each[: -len(A)]}keeps-the-inode-in-use"))
    host.container(PATH, pids=[7])


# -- figures


def later(host: MadeUpHost, seconds: float) -> None:
    assert host.root.now_ns is not None
    host.root.now_ns += int(seconds * SECOND)


def test_a_limit_shows_at_the_next_reading_and_none_is_the_hosts_memory(host: MadeUpHost, opened: Open) -> None:
    sampler, total = opened(), 1_000_000 * 1024
    for limit, shown in ((64 << 20, 64 << 20), (32 << 20, 32 << 20), (None, total), (1 << 60, total)):
        host.memory(PATH, 5_000_000, 0, limit)
        assert only(sampler).memory_limit_bytes == shown


@pytest.mark.parametrize("meminfo", ["", "MemTotal: many kB\n", None])
def test_where_the_hosts_memory_is_not_known_unlimited_has_no_figure_and_it_is_said_once(
    host: MadeUpHost, opened: Open, caplog: pytest.LogCaptureFixture, meminfo: str | None
) -> None:
    host.write("/proc/meminfo", meminfo or "")
    if meminfo is None:
        os.unlink(host.real("/proc/meminfo"))
    host.memory(PATH, 5, 0, None)
    sampler = opened()
    for _ in range(3):
        assert only(sampler).memory_limit_bytes is None
    assert len([record for record in caplog.records if "meminfo" in record.message]) == 1


def test_the_runtimes_word_that_it_uses_the_hosts_network_counts(host: MadeUpHost, opened: Open) -> None:
    host.docker(A, "web", NetworkMode="host")
    stats = only(opened())
    assert (stats.network_rx_bytes, one_container(stats).network_rx) == (None, 0)


def test_a_container_with_no_process_is_shown_without_traffic(host: MadeUpHost, opened: Open) -> None:
    host.procs(PATH, [])
    stats = only(opened())
    assert (stats.network_rx_bytes, stats.memory_usage_bytes) == (None, 5_000_000)
    assert one_container(stats).network_rx == 0


def test_without_the_memory_controller_memory_is_unknown_and_the_rest_there(host: MadeUpHost, opened: Open) -> None:
    directory = host.real(host.directory("memory", PATH))
    for name in os.listdir(directory):
        if name.startswith("memory."):
            os.unlink(f"{directory}/{name}")
    sampler = opened()
    only(sampler)
    later(host, 1)
    host.cpu(PATH, 1_500_000)
    stats = only(sampler)
    assert (stats.memory_usage_bytes, stats.inactive_file_bytes, stats.memory_limit_bytes) == (None, None, None)
    assert stats.cpu_percent == pytest.approx(50.0)
    assert (stats.block_read_bytes, stats.network_rx_bytes) == (4096, 1000)
    answer = one_container(stats)
    assert (answer.memory_usage, answer.memory_limit, answer.memory_percent) == (0, 0, 0.0)


# -- pauses


def test_a_paused_container_is_paused_and_answers_like_a_running_one(host: MadeUpHost, opened: Open) -> None:
    sampler = opened()
    assert only(sampler).state is State.RUNNING
    host.freeze(PATH, True)
    stats = only(sampler)
    assert (stats.state, stats.memory_usage_bytes) == (State.PAUSED, 5_000_000)
    host.freeze(PATH, False)
    assert only(sampler).state is State.RUNNING


def test_the_pause_of_a_container_made_by_crun_is_its_childs(host: MadeUpHost, opened: Open) -> None:
    host.rmdir(PATH)
    path = f"/machine.slice/libpod-{B}.scope"
    host.container(path)
    host.mkdir(f"{path}/container")
    host.procs(f"{path}/container", [7])
    sampler = opened()
    for frozen, state in ((True, State.PAUSED), (False, State.RUNNING)):
        host.freeze(f"{path}/container", frozen)
        stats = only(sampler)
        assert (stats.state, stats.network_rx_bytes) == (state, 1000)


# -- restarts and renames


def test_a_container_restarted_at_the_same_path_begins_a_new_baseline(host: MadeUpHost, opened: Open) -> None:
    sampler = opened()
    only(sampler)
    later(host, 10)
    replace(host)
    host.cpu(PATH, 90_000_000)  # above the old counter: 890 % if it were taken for the same
    (container,) = sampler.containers()
    first = sampler.read(container, sampler.namespaces())
    assert isinstance(first, Pending)
    later(host, 0.2)
    host.cpu(PATH, 90_050_000)
    stats = sampler.second(first)
    assert stats is not None and stats.cpu_percent == pytest.approx(25.0)


def test_a_restart_in_between_leaves_it_out(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept descriptors say ENODEV then, which plain files cannot: the files are reopened here."""
    monkeypatch.setattr(host_module, "descriptor_budget", lambda *_: Descriptors(0))
    sampler = opened()
    (before,) = sampler.containers()
    first = sampler.read(before, sampler.namespaces())
    assert isinstance(first, Pending)
    replace(host)
    assert sampler.second(first) is None
    assert sampler.read(before, sampler.namespaces()) is None
    (after,) = sampler.containers()
    assert after is not before
    assert only(sampler).identity.name == "web"


@pytest.mark.parametrize("hangs", [False, True])
def test_the_descriptors_of_a_container_that_is_gone_are_released_with_the_next_listing_or_once_its_reading_ends(
    host: MadeUpHost, opened: Open, hangs: bool
) -> None:
    sampler, mine = opened(), host.real("/sys/fs/cgroup")
    only(sampler)
    (container,) = sampler.containers()
    assert [path for path in open_descriptors() if path.startswith(mine)]
    with container.busy if hangs else contextlib.nullcontext():
        host.rmdir(PATH)
        assert sampler.containers() == []
        assert bool(sampler.registry._descriptors.used) is hangs
    if hangs:
        host.container(f"/docker/{B}")  # the next listing that finds a change
        sampler.containers()
    assert [path for path in open_descriptors() if path.startswith(mine)] == []
    assert sampler.registry._descriptors.used == 0


def test_a_late_name_is_noticed_soon(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.monotonic_ns()]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    host.container(f"/docker/{B}", pids=[8])
    sampler = opened()
    assert read(sampler)[B].identity.name == B[:12]
    host.docker(B, "late")
    now[0] += 2 * SECOND
    assert read(sampler)[B].identity.name == "late"


# -- failures


@pytest.mark.parametrize("content", ["12x\n", "", "\n", "-5\n", "\0\0\0\0", "99999999999999999999999\n", None])
def test_a_broken_counter_fails_and_names_its_file(host: MadeUpHost, opened: Open, content: str | None) -> None:
    path, why = name_of(host, "memory", "memory.current", "memory.usage_in_bytes"), "could not be read"
    if content is None:
        os.unlink(path)
        os.mkdir(path)
    else:
        host.file("memory", PATH, "memory.current", "memory.usage_in_bytes", content)
        why = "does not have the documented format"
    sampler = opened()
    assert failure(sampler) == f"cannot read memory: {path}: the file {why}"
    if content is not None:
        host.memory(PATH, 6, 0, None)
        assert only(sampler).memory_usage_bytes == 6


@pytest.mark.parametrize(
    ("tree", "v2", "v1", "content"),
    [
        ("cpu,cpuacct", "cpu.stat", "cpuacct.usage", "usage_usec many\n"),
        ("cpu,cpuacct", "cpu.stat", "cpuacct.usage", "user_usec 5\n"),
        ("memory", "memory.stat", "memory.stat", "anon 5\n"),
        ("memory", "memory.max", "memory.limit_in_bytes", "lots\n"),
        ("blkio", "io.stat", "blkio.throttle.io_service_bytes", "nonsense\n"),
        ("freezer", "cgroup.events", "freezer.state", "populated 1\n"),
    ],
)
def test_any_broken_file_fails_the_reading_and_names_itself(
    host: MadeUpHost, opened: Open, tree: str, v2: str, v1: str, content: str
) -> None:
    host.file(tree, PATH, v2, v1, content)
    assert name_of(host, tree, v2, v1) in failure(opened())


def test_an_unreadable_file_fails_the_reading(host: MadeUpHost, opened: Open) -> None:
    path = name_of(host, "memory", "memory.stat", "memory.stat")
    os.chmod(path, 0)
    top = os.path.dirname(path)
    while top != "/":
        if os.stat(top).st_uid == os.geteuid():
            os.chmod(top, os.stat(top).st_mode | 0o055)
        top = os.path.dirname(top)
    sampler = opened()
    with unprivileged():
        assert failure(sampler) == f"cannot read inactive file: {path}: permission denied"


class Waited:
    """A lock that tells when somebody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waits = threading.Event()
        self.release, self.locked = self._lock.release, self._lock.locked

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if blocking:
            self.waits.set()
        return self._lock.acquire(blocking, timeout)


def test_a_reading_that_is_slow_is_waited_for(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was left behind, and computes or gets no processor, reads the container that the next one wants."""
    monkeypatch.setattr(hangs, "PATIENCE_SECONDS", 60.0)
    sampler = opened()
    (container,) = sampler.containers()
    busy = Waited()
    container.busy = cast(Any, busy)
    read: list[int | None] = []
    next_one = threading.Thread(target=lambda: read.append(only(sampler).memory_usage_bytes))
    with container.reading():
        next_one.start()
        busy.waits.wait()
        assert not read
    next_one.join()
    assert read == [5_000_000]


def test_work_taken_over_is_not_waited_for(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hangs, "PATIENCE_SECONDS", 3600.0)
    sampler = opened()
    (container,) = sampler.containers()
    reads, answers = threading.Event(), threading.Event()

    def first() -> None:
        hangs.leave_behind_if(reads.is_set)
        with pytest.raises(hangs.LeftBehind), container.reading():
            reads.set()
            answers.wait()

    thread = threading.Thread(target=first)
    thread.start()
    reads.wait()
    assert failure(sampler) == f"an earlier reading of {PATH} still hangs"
    answers.set()
    thread.join()


def test_a_reading_that_still_hangs_is_not_waited_for(host: MadeUpHost, opened: Open) -> None:
    sampler = opened()
    (container,) = sampler.containers()
    with container.busy:
        assert failure(sampler) == f"an earlier reading of {PATH} still hangs"
        sampler.baseline(container)
    assert only(sampler).memory_usage_bytes == 5_000_000


def test_a_reading_while_closing_is_gone(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent stops: another thread closes what the sampling thread still reads. Nothing hangs."""
    sampler = opened()
    (container,) = sampler.containers()
    namespaces, close = sampler.namespaces(), OpenFiles.close
    met: list[object] = []

    def read_while_closing(files: OpenFiles) -> None:
        met.append(sampler.read(container, namespaces))
        with pytest.raises(CgroupGone), container.reading():
            pass
        close(files)

    monkeypatch.setattr(OpenFiles, "close", read_while_closing)
    container.close()
    assert met == [None]


def test_a_failed_baseline_is_left_for_later(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = opened()
    (container,) = sampler.containers()

    def fail(_: KeptFile) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(KeptFile, "read", fail)
        sampler.baseline(container)
    host.rmdir(PATH)
    sampler.baseline(container)


# -- the listing


def test_a_listing_that_fails_says_what_failed(host: MadeUpHost, opened: Open) -> None:
    sampler = opened(follow=False)
    sampler.containers()
    os.rename(host.real("/sys/fs"), host.real("/sys/elsewhere"))
    with pytest.raises(ListingFailed, match=r"cannot list the containers: /.*/sys/fs/cgroup.*gone"):
        sampler.containers()
    os.rename(host.real("/sys/elsewhere"), host.real("/sys/fs"))
    assert [container.identity.name for container in sampler.containers()] == ["web"]


def test_a_listing_that_hangs_is_given_up(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = opened()
    monkeypatch.setattr(listing_module, "LISTING_SECONDS", 0.05)
    with sampler.registry._lock, pytest.raises(ListingFailed, match="takes over"):
        sampler.containers()
    assert len(sampler.containers()) == 1


def test_nothing_is_done_twice_in_vain(host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = opened()
    first = sampler.containers()
    identified: list[object] = []
    monkeypatch.setattr(sampler.names, "identify", identified.append)
    assert sampler.containers() is first
    assert identified == []


def test_the_systems_containers_come_first(host: MadeUpHost, opened: Open) -> None:
    host.container(f"/a.slice/user-1000.slice/docker-{B}.scope", uid=1000)
    host.container(f"/z.slice/docker-{C}.scope")
    assert [container.identity.owner_uid for container in opened().containers()] == [0, 0, 1000]


# -- gone at every step


def countdown(monkeypatch: pytest.MonkeyPatch, steps: int) -> list[int]:
    """Let the n-th access to a container's files say that its cgroup is gone; how many are left."""
    left = [steps]

    def patch(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise CgroupGone("/gone/at/this/step")
            return original(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, wrapped)

    for kind, names in (
        (KeptFile, ["read"]),
        (Directory, ["open", "read", "__init__", "alive"]),
        (Process, ["open_net_dev", "__init__"]),
    ):
        for name in names:
            patch(kind, name)
    return left


@pytest.mark.parametrize("kept", [100, 0], ids=["kept open", "reopened"])
def test_a_cgroup_that_is_gone_at_any_step_is_left_out_quietly_and_everything_released(
    host: MadeUpHost, kept: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(host_module, "descriptor_budget", lambda *_: Descriptors(kept))
    before = len(open_descriptors())
    steps = gone = 0
    while True:
        steps += 1
        assert steps < 500
        sampler = open_host(host.root, HostOptions())
        containers = sampler.containers()
        with monkeypatch.context() as patch:
            left = countdown(patch, steps)
            for container in containers:
                result = sampler.read(container, sampler.namespaces())
                if isinstance(result, Pending):
                    result = sampler.second(result)
                gone += result is None
        assert len(read(sampler)) == 1  # it was not gone after all: the next pass has it
        sampler.close()
        assert sampler.registry._descriptors.used == 0
        assert len(open_descriptors()) == before
        if left[0] > 0:
            break
    assert gone > 10
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("follow", [True, False], ids=["inotify", "walk"])
def test_directories_that_are_gone_at_any_step_of_the_listing_cost_themselves_only(
    host: MadeUpHost, follow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.mkdir("/system.slice/dbus.service")
    steps = 0
    while True:
        steps += 1
        sampler = open_host(host.root, HostOptions(follow=follow))
        with monkeypatch.context() as patch:
            left = countdown(patch, steps)
            try:
                sampler.containers()
            except ListingFailed as error:
                assert "gone" in str(error)
        sampler.close()
        if left[0] > 0:
            break
    assert steps > 3


# -- descriptors


@pytest.mark.parametrize("limit", [0, 50, None])
def test_with_few_descriptors_the_figures_are_the_same_and_every_one_is_released_on_close(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    for n in range(20):
        host.container(f"/docker/{n:064x}", pids=[100 + n])
    whole = open_host(host.root, HostOptions())
    figures = {key: stats[1:] for key, stats in read(whole).items()}
    whole.close()
    if limit is not None:
        monkeypatch.setattr(host_module, "descriptor_budget", lambda *_: Descriptors(limit))
    before = open_descriptors()
    sampler = open_host(host.root, HostOptions(follow=False))
    for _ in range(2):
        assert {key: stats[1:] for key, stats in read(sampler).items()} == figures and len(figures) == 21
        if limit is not None:
            assert sampler.registry._descriptors.used <= limit
            assert len(open_descriptors()) <= len(before) + limit
    assert limit is not None or len(open_descriptors()) > len(before) + 100
    sampler.close()
    assert open_descriptors() == before
    assert sampler.registry._descriptors.used == 0


CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
sys.path[:0] = [{project!r} + "/agent", {project!r} + "/cgroups"]
import msgspec
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.outputs.stats_json import one_container
from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling.sampler import Pending
sampler = open_host(open_roots({fixture!r})[0], HostOptions())
found = {{}}
for _ in range(2):
    namespaces = sampler.namespaces()
    for container in sampler.containers():
        stats = sampler.read(container, namespaces)
        stats = sampler.second(stats) if isinstance(stats, Pending) else stats
        found[container.ref.path] = stats and msgspec.to_builtins(one_container(stats))
print(json.dumps([found, sampler.registry._descriptors.limit, sampler.registry._descriptors.used]))
"""


@pytest.mark.parametrize(("name", "limit"), [(LEGACY, 40), pytest.param(UNIFIED, 300, marks=pytest.mark.nightly)])
def test_a_process_that_may_open_few_files_gives_the_same_figures(name: str, limit: int) -> None:
    code = CHILD.format(limit=limit, project=PROJECT, fixture=recorded_host(name))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found, budget, used = json.loads(ran.stdout)
    assert budget == max(0, limit - 256)
    assert used <= budget
    sampler = open_host(open_roots(recorded_host(name))[0], HostOptions())
    for container, stats in readings(sampler):
        shown = found[container.ref.path]
        assert shown == (stats and json.loads(json.dumps(shown | {"memoryRaw": stats.memory_usage_bytes})))
        if stats is not None:
            assert shown["networkRx"] == (stats.network_rx_bytes or 0)
            assert shown["blockWrite"] == (stats.block_write_bytes or 0)
            assert shown["memoryCache"] == stats.inactive_file_bytes
    sampler.close()


INFINITY = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "budget", "raised"),
    [
        ((1024, 4096), 3840, [(4096, 4096)]),
        ((1024, 1024), 768, []),
        ((100, 100), 0, []),
        ((1024, 1 << 20), 65_280, [(65_536, 1 << 20)]),
        ((1024, INFINITY), 65_280, [(65_536, INFINITY)]),
        ((1 << 20, 1 << 20), (1 << 20) - 256, []),
    ],
)
def test_the_budget_leaves_descriptors_for_everything_else(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], budget: int, raised: list[tuple[int, int]]
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    assert descriptor_budget().limit == budget
    assert asked == raised


def test_what_a_lowered_limit_leaves_is_for_connections_from_the_next_listing_on(
    host: MadeUpHost, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = opened()
    descriptors = sampler.registry._descriptors
    assert descriptors.limit > 0
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 4096))
    sampler.containers()
    assert descriptors.limit == 300 - 256
