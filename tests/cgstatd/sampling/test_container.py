"""One watched container: what it keeps between readings, and what it does when its cgroup changes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cgroupfs import Absent, CgroupGone, Clock, Counters, Descriptors, Exhausted, KeptFile, Missing, detect
from cgstatd.host.discovery import CgroupRef
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Match
from cgstatd.sampling.container import Container
from cgstatd.sampling.model import CpuReading
from cgstatd.sampling.network import Namespaces, Traffic
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.reading_failed import ReadingFailed, explain
from cgstatd.sampling.sampler import Pending
from helpers import MadeUpHost, open_descriptors

A = "a" * 64
PATH = f"/docker/{A}"
SECOND = 1_000_000_000


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> MadeUpHost:
    made = MadeUpHost(str(tmp_path), request.param)
    made.container(PATH, pids=[7])
    made.root.now_ns = 100 * SECOND
    return made


@pytest.fixture
def v1(tmp_path: Path) -> MadeUpHost:
    made = MadeUpHost(str(tmp_path), 1)
    made.container(PATH, pids=[7])
    made.root.now_ns = 100 * SECOND
    return made


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


def test_the_second_reading_after_a_short_window_gives_the_cpu_figure(host: MadeUpHost) -> None:
    container = watch(host)
    read(host, container)
    later(host, 0.2, 0.1)
    assert container.second_cpu() == pytest.approx(50.0)


def test_a_reading_after_an_earlier_one_needs_no_second(host: MadeUpHost) -> None:
    container = watch(host)
    read(host, container)
    later(host, 10, 25)
    _, percent, pending = read(host, container)
    assert (percent, pending) == (pytest.approx(250.0), False)


def test_a_baseline_is_what_the_next_reading_is_compared_with(host: MadeUpHost) -> None:
    container = watch(host)
    assert container.read_cpu() == CpuReading(SECOND, 100 * SECOND, 100 * SECOND)
    later(host, 10, 1)
    assert read(host, container)[1:] == (pytest.approx(10.0), False)


def test_a_baseline_younger_than_100_ms_needs_a_second_reading(host: MadeUpHost) -> None:
    container = watch(host)
    container.read_cpu()
    later(host, 0.05, 0.05)
    assert read(host, container)[1:] == (None, True)
    later(host, 0.2, 0.1)
    assert container.second_cpu() == pytest.approx(60.0)


def test_a_counter_that_fell_needs_a_second_reading(host: MadeUpHost) -> None:
    container = watch(host)
    read(host, container)
    later(host, 10, -0.5)
    assert read(host, container)[1:] == (None, True)
    later(host, 0.2, 0.2)
    assert container.second_cpu() == pytest.approx(100.0)


def test_without_a_cpu_counter_there_is_no_figure_and_nothing_is_waited_for(host: MadeUpHost) -> None:
    name = "cpu.stat" if host.version == 2 else "cpuacct.usage"
    os.unlink(host.real(f"{host.directory('cpu,cpuacct', PATH)}/{name}"))
    container = watch(host)
    sample, percent, pending = read(host, container)
    assert (sample.counters.cpu_usage_nsec, percent, pending) == (None, None, False)
    assert container.read_cpu() is None
    assert container.second_cpu() is None


def test_the_payloads_freezer_is_the_containers(host: MadeUpHost) -> None:
    """crun puts the processes into a child, and freezes that."""
    host.mkdir(f"{PATH}/container")
    host.freeze(f"{PATH}/container", True)
    assert read(host, watch(host, reference(host, payload="container")))[0].counters.frozen is True
    assert read(host, watch(host, reference(host)))[0].counters.frozen is False


def test_without_the_payload_the_containers_own_freezer_counts(host: MadeUpHost) -> None:
    host.freeze(PATH, True)
    assert read(host, watch(host, reference(host, payload="container")))[0].counters.frozen is True


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


def test_a_container_that_never_had_a_process_is_shown_without_traffic(host: MadeUpHost) -> None:
    host.procs(PATH, [])
    sample, _, _ = read(host, watch(host))
    assert sample.traffic.reason is Absent.NO_PROCESS
    assert sample.counters.memory_usage_bytes == 5_000_000


# -- failures


def test_a_value_that_cannot_be_read_fails_the_reading_and_names_the_file(host: MadeUpHost) -> None:
    host.file("memory", PATH, "memory.current", "memory.usage_in_bytes", "12x\n")
    name = "memory.current" if host.version == 2 else "memory.usage_in_bytes"
    path = host.real(f"{host.directory('memory', PATH)}/{name}")
    with pytest.raises(ReadingFailed) as raised:
        read(host, watch(host))
    assert str(raised.value) == f"cannot read memory: {path}: the file does not have the documented format"


def test_a_broken_net_dev_costs_the_network_and_not_the_container(host: MadeUpHost) -> None:
    host.write("/proc/7/net/dev", "nonsense\n")
    sample, _, _ = read(host, watch(host))
    assert sample.counters.memory_usage_bytes == 5_000_000
    assert sample.traffic[:3] == (None, None, Absent.MALFORMED)


def test_after_a_failure_of_the_moment_the_next_reading_is_whole(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_failed_value_is_explained_in_words() -> None:
    missing = Missing("inactive_file_bytes", Absent.PERMISSION, "/sys/fs/cgroup/x/memory.stat")
    assert explain(missing) == "cannot read inactive file: /sys/fs/cgroup/x/memory.stat: permission denied"


# -- another view of the same cgroup


def test_a_tree_more_or_less_is_the_same_container_and_keeps_its_baseline(v1: MadeUpHost) -> None:
    container = watch(v1, reference(v1, without=("memory", "systemd")))
    read(v1, container)
    assert container.moved(reference(v1))
    later(v1, 10, 1)
    assert read(v1, container)[1:] == (pytest.approx(10.0), False)
    assert container.moved(reference(v1, without=("freezer",)))
    later(v1, 10, 2)
    assert read(v1, container)[1:] == (pytest.approx(20.0), False)


def test_a_container_seen_stopping_is_still_stopping_in_another_view(v1: MadeUpHost) -> None:
    container = watch(v1)
    read(v1, container)
    v1.procs(PATH, [])
    assert container.moved(reference(v1, without=("memory",)))
    with pytest.raises(CgroupGone):
        read(v1, container)


def test_another_inode_in_one_tree_is_another_container(v1: MadeUpHost) -> None:
    container = watch(v1)
    memory = v1.directory("memory", PATH)
    os.rename(v1.real(memory), v1.real("/keeps-the-inode-in-use"))
    os.mkdir(v1.real(memory))
    assert not container.moved(reference(v1))


def test_a_view_that_has_no_tree_in_common_is_another_container(v1: MadeUpHost) -> None:
    """The old container was last seen in one tree, the new one is first seen in the others."""
    container = watch(v1, reference(v1, without=("cpu,cpuacct", "memory", "blkio", "systemd")))
    assert not container.moved(reference(v1, without=("freezer",)))


def test_a_hung_reading_is_not_waited_for(v1: MadeUpHost) -> None:
    container = watch(v1)
    with container.busy:
        assert not container.moved(reference(v1, without=("memory",)))


# -- descriptors


def test_files_stay_open_between_readings_and_are_released_on_close(host: MadeUpHost) -> None:
    before = len(open_descriptors())
    descriptors = Descriptors(100)
    container = watch(host, descriptors=descriptors)
    assert len(open_descriptors()) == before
    for _ in range(3):
        read(host, container)
    assert len(open_descriptors()) - before == descriptors.used == 8
    container.close()
    container.close()
    assert len(open_descriptors()) == before
    assert descriptors.used == 0


def test_a_move_gives_back_what_it_held(v1: MadeUpHost) -> None:
    before = len(open_descriptors())
    descriptors = Descriptors(100)
    container = watch(v1, descriptors=descriptors)
    for without in ((), ("memory",), (), ("freezer", "blkio")):
        container.moved(reference(v1, without=without))
        read(v1, container)
    container.close()
    assert len(open_descriptors()) == before
    assert descriptors.used == 0


@pytest.mark.parametrize("limit", range(12))
def test_with_few_descriptors_the_figures_are_the_same(host: MadeUpHost, limit: int) -> None:
    whole = read(host, watch(host, descriptors=Descriptors(100)))
    before = len(open_descriptors())
    descriptors = Descriptors(limit)
    container = watch(host, descriptors=descriptors)
    for _ in range(2):
        assert read(host, container)[0] == whole[0]
        assert descriptors.used <= limit
        assert len(open_descriptors()) - before <= limit
    container.close()
    assert descriptors.used == 0
    assert len(open_descriptors()) == before


def test_closing_while_a_reading_hangs_is_left_for_later(host: MadeUpHost) -> None:
    container = watch(host)
    read(host, container)
    asked: list[bool] = []
    with container.busy:
        container.close(lambda: asked.append(True))
        container.close()
        assert container.descriptors.used > 0
    assert asked == [True]
    container.close()
    assert container.descriptors.used == 0


def test_the_files_are_opened_once(host: MadeUpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    container = watch(host)
    read(host, container)
    opened: list[Any] = []
    original = os.open

    def noted(path: str, *a: Any, **k: Any) -> int:
        opened.append(path)
        return original(path, *a, **k)

    monkeypatch.setattr(os, "open", noted)
    read(host, container)
    assert opened == ["net/dev"]
    assert KeptFile.__slots__ == ("fd", "path")


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


def test_a_cpu_file_that_takes_seconds_to_answer_does_not_inflate_the_figure(
    host: MadeUpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
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
