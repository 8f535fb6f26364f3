"""One watched container: what it keeps between readings, and what it does when its cgroup changes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cgroupfs import CgroupGone, Clock, Counters, Descriptors, Exhausted, detect
from cgstatd.host.discovery import CgroupRef
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Match
from cgstatd.sampling.container import Container
from cgstatd.sampling.model import CpuReading
from cgstatd.sampling.network import Namespaces, Traffic
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Pending
from helpers import MadeUpHost, open_descriptors

A = "a" * 64
PATH = f"/docker/{A}"
SECOND = 1_000_000_000


def made_up(tmp_path: Path, version: int) -> MadeUpHost:
    made = MadeUpHost(str(tmp_path), version)
    made.container(PATH, pids=[7])
    made.root.now_ns = 100 * SECOND
    return made


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    return made_up(tmp_path, request.param)


@pytest.fixture
def v1(tmp_path: Path) -> MadeUpHost:
    return made_up(tmp_path, 1)


def reference(host: MadeUpHost, path: str = PATH, *, without: tuple[str, ...] = (), payload: str = "") -> CgroupRef:
    """The container as discovery finds it."""
    inodes = tuple(
        (point, os.stat(host.real(point + path)).st_ino) for name, point in host.points.items() if name not in without
    )
    return CgroupRef(path, Match("docker", A, payload), inodes, 0, 0)


_containers: list[Container] = []


@pytest.fixture(autouse=True)
def close_all() -> Iterator[None]:
    yield
    while _containers:
        _containers.pop().close()


def watch(host: MadeUpHost, ref: CgroupRef | None = None, descriptors: Descriptors | None = None) -> Container:
    identity = Identity(A, "web", "docker", 0, None)
    hierarchy = detect(host.root)
    _containers.append(
        Container(host.root, hierarchy, ref or reference(host), identity, descriptors or Descriptors(100))
    )
    return _containers[-1]


class Sample(NamedTuple):
    """Both halves of a reading."""

    clock: Clock
    counters: Counters
    traffic: Traffic


def read(host: MadeUpHost, container: Container) -> Any:
    """(sample, CPU percent, whether the percent needs a second reading)"""
    begun = container.counters()
    sample = Sample(begun.clock, begun.counters, container.traffic(Namespaces(host.root)))
    usage = begun.counters.cpu_usage_nsec
    percent = (
        None if usage is None else container.percent(CpuReading(usage, begun.clock.monotonic_ns, begun.cpu_read_ns))
    )
    return sample, percent, percent is None and usage is not None


def later(host: MadeUpHost, seconds: float, used: float) -> None:
    """Time goes on, and the container uses CPU time."""
    assert host.root.now_ns is not None
    host.root.now_ns += int(seconds * SECOND)
    name, scale = ("cpu.stat", 1_000_000) if host.version == 2 else ("cpuacct.usage", SECOND)
    file = host.real(f"{host.directory('cpu,cpuacct', PATH)}/{name}")
    with open(file, encoding="ascii") as stat:
        before = int(stat.read().split()[1 if host.version == 2 else 0])
    host.cpu(PATH, int((before / scale + used) * 1_000_000))


# -- readings


def test_a_reading_has_every_counter_at_its_instant(host: MadeUpHost) -> None:
    sample, percent, pending = read(host, watch(host))
    assert sample.clock.monotonic_ns == 100 * SECOND
    assert sample.counters == (SECOND, 5_000_000, 1_000_000, 64 << 20, 4096, 8192, False)
    assert sample.traffic[:3] == (1000, 2000, None)
    assert (percent, pending) == (None, True)


def test_a_first_reading_and_a_counter_that_fell_need_a_second_one_after_a_short_window(host: MadeUpHost) -> None:
    container = watch(host)
    for seconds, used, window, percent in ((0, 0, 0.1, 50.0), (10, -0.5, 0.2, 100.0)):
        later(host, seconds, used)
        assert read(host, container)[1:] == (None, True)
        later(host, 0.2, window)
        assert container.second_cpu() == pytest.approx(percent)


def test_a_reading_after_an_earlier_one_or_a_baseline_is_compared_with_it(host: MadeUpHost) -> None:
    container = watch(host)
    assert container.read_cpu() == CpuReading(SECOND, 100 * SECOND, 100 * SECOND)
    for used, percent in ((1, 10.0), (25, 250.0)):
        later(host, 10, used)
        assert read(host, container)[1:] == (pytest.approx(percent), False)


def test_a_baseline_younger_than_100_ms_needs_a_second_reading(host: MadeUpHost) -> None:
    container = watch(host)
    container.read_cpu()
    later(host, 0.05, 0.05)
    assert read(host, container)[1:] == (None, True)
    later(host, 0.2, 0.1)
    assert container.second_cpu() == pytest.approx(60.0)


def test_without_a_cpu_counter_there_is_no_figure_and_nothing_is_waited_for(host: MadeUpHost) -> None:
    name = "cpu.stat" if host.version == 2 else "cpuacct.usage"
    os.unlink(host.real(f"{host.directory('cpu,cpuacct', PATH)}/{name}"))
    container = watch(host)
    sample, percent, pending = read(host, container)
    assert (sample.counters.cpu_usage_nsec, percent, pending) == (None, None, False)
    assert container.read_cpu() is None
    assert container.second_cpu() is None


def test_the_payloads_freezer_is_the_containers_and_without_one_its_own_counts(host: MadeUpHost) -> None:
    """crun puts the processes into a child, and freezes that."""

    def frozen(payload: str) -> bool:
        found: bool = read(host, watch(host, reference(host, payload=payload)))[0].counters.frozen
        return found

    host.mkdir(f"{PATH}/container")
    host.freeze(f"{PATH}/container", True)
    assert (frozen("container"), frozen("")) == (True, False)
    host.rmdir(f"{PATH}/container")
    host.freeze(PATH, True)
    assert frozen("container") is True


# -- the end


def test_a_container_whose_cgroup_is_gone_is_gone(host: MadeUpHost) -> None:
    container = watch(host)
    host.rmdir(PATH)
    with pytest.raises(CgroupGone):
        read(host, container)
    with pytest.raises(CgroupGone):
        container.read_cpu()


def test_another_cgroup_at_the_same_path_is_not_read(host: MadeUpHost) -> None:
    container = watch(host)
    for each in host.directories(PATH):
        os.rename(host.real(each), host.real(f"{each}-keeps-the-inode-in-use"))
    host.container(PATH, pids=[7])
    with pytest.raises(CgroupGone):
        read(host, container)


def test_a_container_whose_last_process_has_left_is_stopping(host: MadeUpHost) -> None:
    container = watch(host)
    read(host, container)
    host.procs(PATH, [])
    os.rename(host.real("/proc/7"), host.real("/gone"))
    os.unlink(host.real("/gone/net/dev"))
    with pytest.raises(CgroupGone):
        read(host, container)


# -- failures


def test_after_a_passing_failure_the_next_reading_is_whole(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor left a file cannot be opened; that must not last as long as the container does."""
    container = watch(host)
    original = os.open

    def none_left(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == "memory.stat":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        return original(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none_left)
        with pytest.raises(Exhausted, match=r"memory\.stat"):
            read(host, container)
    assert read(host, container)[0].counters.inactive_file_bytes == 1_000_000
    container.close()
    assert container.descriptors.used == 0


# -- another view of the same cgroup


def test_a_tree_more_or_less_is_the_same_container_and_keeps_its_baseline_and_what_it_holds(v1: MadeUpHost) -> None:
    before, descriptors = len(open_descriptors()), Descriptors(100)
    container = watch(v1, reference(v1, without=("memory", "systemd")), descriptors)
    read(v1, container)
    for without, percent in (((), 10.0), (("freezer",), 20.0), (("memory",), 30.0), (("freezer", "blkio"), 40.0)):
        assert container.moved(reference(v1, without=without))
        later(v1, 10, percent / 10)
        assert read(v1, container)[1:] == (pytest.approx(percent), False)
    container.close()
    assert (descriptors.used, len(open_descriptors())) == (0, before)


def test_a_container_seen_stopping_is_still_stopping_in_another_view(v1: MadeUpHost) -> None:
    container = watch(v1)
    read(v1, container)
    v1.procs(PATH, [])
    assert container.moved(reference(v1, without=("memory",)))
    with pytest.raises(CgroupGone):
        read(v1, container)


def test_a_view_of_another_cgroup_or_one_that_would_be_waited_for_is_another_container(v1: MadeUpHost) -> None:
    container = watch(v1)
    with container.busy:  # a reading hangs
        assert not container.moved(reference(v1, without=("memory",)))
    memory = v1.directory("memory", PATH)
    os.rename(v1.real(memory), v1.real("/keeps-the-inode-in-use"))
    os.mkdir(v1.real(memory))
    assert not container.moved(reference(v1)), "another inode in one tree"
    old = watch(v1, reference(v1, without=("cpu,cpuacct", "memory", "blkio", "systemd")))
    assert not old.moved(reference(v1, without=("freezer",))), "no tree in common: it was last seen in one, alone"


# -- descriptors


@pytest.mark.parametrize("limit", [*range(12), 100])
def test_files_stay_open_between_readings_and_with_few_descriptors_the_figures_are_the_same(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    whole = read(host, watch(host, descriptors=Descriptors(100)))
    before, descriptors = len(open_descriptors()), Descriptors(limit)
    container = watch(host, descriptors=descriptors)
    assert len(open_descriptors()) == before
    for _ in range(2):
        assert read(host, container)[0] == whole[0]
        assert descriptors.used <= limit and len(open_descriptors()) - before <= limit
    if limit == 100:
        assert len(open_descriptors()) - before == descriptors.used == 8
        opened, original = list[Any](), os.open

        def noted(path: str, *more: Any, **how: Any) -> int:
            opened.append(path)
            return original(path, *more, **how)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", noted)
            read(host, container)
        assert opened == ["net/dev"]
    for _ in range(2):
        container.close()
        assert (descriptors.used, len(open_descriptors())) == (0, before)


# -- closed is closed


def drop_tree(host: MadeUpHost, *trees: str) -> None:
    """The cgroup is gone from these v1 trees; of v2's only one."""
    for tree in trees if host.version == 1 else ("",):
        shutil.rmtree(host.real(host.directory(tree, PATH)), ignore_errors=True)


@pytest.mark.parametrize("ask", ["counters", "read_cpu", "second_cpu", "traffic"])
def test_what_was_closed_opens_nothing_any_more_whoever_still_holds_it(host: MadeUpHost, ask: str) -> None:
    """The second CPU reading comes 0.2 s after the first: the listing may have closed the container in between."""
    before = len(open_descriptors())
    container = watch(host)
    read(host, container)
    container.close()
    arguments = (Namespaces(host.root),) if ask == "traffic" else ()
    with pytest.raises(CgroupGone):
        getattr(container, ask)(*arguments)
    assert (container.descriptors.used, len(open_descriptors())) == (0, before)
    assert not container.moved(reference(host))


def test_a_second_reading_after_the_container_left_some_trees_keeps_nothing_open(v1: MadeUpHost) -> None:
    """As in a pass: the first reading, a listing that finds the cgroup in other trees, the second reading."""
    before = len(open_descriptors())
    sampler = open_host(v1.root, HostOptions())
    container = sampler.containers()[0]
    first = sampler.read(container, sampler.namespaces())
    assert isinstance(first, Pending)
    drop_tree(v1, "memory", "blkio")
    shutil.rmtree(v1.real(v1.directory("cpu,cpuacct", PATH)))
    v1.mkdir(PATH)  # and is another one in them
    v1.cpu(PATH, 1_000_000)
    assert container not in sampler.containers()
    assert sampler.second(first) is None
    sampler.close()
    assert len(open_descriptors()) == before


def test_what_is_closed_while_it_is_read_is_released_by_the_thread_that_reads_it(host: MadeUpHost) -> None:
    before = len(open_descriptors())
    container = watch(host)
    assert container.busy.acquire(blocking=False)
    container.counters()
    container.traffic(Namespaces(host.root))
    later: list[bool] = []
    container.close(lambda: later.append(True))
    assert later == [True] and container.descriptors.used > 0
    container.done()
    assert (container.descriptors.used, len(open_descriptors())) == (0, before)
    assert not container.busy.locked()


# -- a file that is slow to answer, and a counter that jumps


def test_a_cpu_file_that_is_slow_does_not_inflate_the_figure(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """One core all the time; the second reading is held up for 6 s before it is taken."""
    container = watch(host)
    read(host, container)
    later(host, 1, 1)
    original, name = os.read, "cpu.stat" if host.version == 2 else "cpuacct.usage"

    def slow(fd: int, size: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(f"/{name}"):
            later(host, 6, 6)
        return original(fd, size)

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", slow)
        percent = read(host, container)[1]
    assert percent == pytest.approx(100)
    later(host, 1, 1)
    assert read(host, container)[1] == pytest.approx(100)


def test_a_counter_that_jumps_is_a_new_beginning(host: MadeUpHost) -> None:
    container = watch(host)
    read(host, container)
    later(host, 1, 1e9)
    begun = container.counters()
    usage = begun.counters.cpu_usage_nsec
    assert usage is not None
    assert container.percent(CpuReading(usage, begun.clock.monotonic_ns, begun.cpu_read_ns), cores=2) is None
    later(host, 0.2, 0.1)
    assert container.second_cpu(cores=2) == pytest.approx(50)
