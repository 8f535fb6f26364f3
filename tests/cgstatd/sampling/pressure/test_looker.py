"""A look over a host of plain files: what is read, and what becomes of a container that ends or hangs meanwhile."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from cgroupfs import MAX, DeviceIo, DeviceLimit, Directory
from cgstatd.sampling.container import Container
from cgstatd.sampling.pressure.looker import Begun, Looker
from cgstatd.sampling.pressure.looks import Host, HostMemory, Look
from cgstatd.sampling.pressure.verdict import Cause, verdicts
from fakehost import FakeHost, container_id

ALL = ("cpu", "memory", "io")
STALL = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """One container with everything, one as FakeHost makes it; the slice above has a quota."""
    host = FakeHost(tmp_path)
    host.add("web", memory=5 << 20)
    host.add("db")
    web = host.scope("web")
    for resource, total in (("cpu", 7), ("memory", 8), ("io", 9)):
        (web / f"{resource}.pressure").write_text(STALL.format(total))
    (web / "cpu.max").write_text("50000 100000\n")
    (web / "cpu.stat").write_text("usage_usec 5\nnr_periods 3\nnr_throttled 2\nthrottled_usec 40\n")
    (web / "memory.high").write_text("4096\n")
    (web / "memory.events").write_text("low 0\nhigh 6\nmax 1\noom 0\noom_kill 0\n")
    (web / "memory.stat").write_text("workingset_refault_anon 2\nworkingset_refault_file 3\n")
    (web / "io.max").write_text("8:0 rbps=max wbps=4096 riops=max wiops=max\n")
    (web / "cpuset.cpus").write_text("1\n")
    (web.parent / "cpu.max").write_text("max 100000\n")
    (web.parent / "cpu.stat").write_text("usage_usec 9\n")
    (tmp_path / "proc/stat").write_text("cpu  10 0 10 70 0 0 0 10 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\n")
    disks = "8 0 sda 3 0 2 9 4 0 6 9 0 50 99 0 0 0 0 7 5\n8 1 sda1 3 0 2 9 4 0 6 9 0 50 99\n"
    (tmp_path / "proc/diskstats").write_text(disks + "7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n")
    (tmp_path / "proc/vmstat").write_text("pgscan_kswapd 5\npgscan_direct 6\npgscan_direct_throttle 7\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemFree: 3 kB\nMemAvailable: 4 kB\n")
    for part in ("8:0", "8:1"):
        (tmp_path / f"sys/dev/block/{part}").mkdir(parents=True)
    (tmp_path / "sys/dev/block/8:0/uevent").write_text("DEVNAME=sda\nDEVTYPE=disk\n")
    (tmp_path / "sys/dev/block/8:1/uevent").write_text("DEVNAME=sda1\nDEVTYPE=partition\n")
    return host


def take(looker: Looker, begun: Begun | None = None, resources: tuple[str, ...] = ALL) -> Look:
    begun = begun or looker.begin(resources)
    found = [looker.read(begun, item) for item in begun.items]
    return looker.end(begun, [each for each in found if each is not None])


def test_what_a_look_reads(host: FakeHost) -> None:
    looker = Looker(host.sampler())
    look = take(looker)
    found = {identity.name: (path, counted) for identity, path, counted in look.containers.values()}
    path, web = found["web"]
    assert path == f"/system.slice/docker-{container_id('web')}.scope"
    assert (web.cpu_stall_usec, web.memory_stall_usec, web.io_stall_usec) == (7, 8, 9)
    assert (web.cpu_nsec, web.quota_usec, web.period_usec, web.cpus) == (5000, 50_000, 100_000, frozenset({1}))
    assert (web.periods, web.throttled_periods, web.throttled_nsec) == (3, 2, 40_000)
    assert (web.memory_bytes, web.memory_high, web.memory_max) == (5 << 20, 4096, MAX)
    assert (web.high_events, web.max_events, web.refaults) == (6, 1, 5)
    assert web.devices == (DeviceIo("8:0", 4096, 8192, 1, 1, 0, 0),)
    assert web.io_limits == (DeviceLimit("8:0", None, 4096, None, None),)
    db = found["db"][1]
    assert (db.cpu_stall_usec, db.high_events, db.refaults, db.cpu_nsec) == (None, None, None, 1_000_000_000)
    assert look.above["/system.slice"].cpu_nsec == 9000 and look.above["/system.slice"].quota_usec is MAX
    assert (look.host.cores, look.host.cpus) == (2, {0: (1, 0, 1), 1: (1, 0, 1)})
    assert look.host.devices == (DeviceIo("8:0", 1024, 3072, 3, 4), DeviceIo("8:1", 1024, 3072, 3, 4))
    assert (look.host.disk_busy_ms, look.host.stacked) == ({"8:0": 55, "8:1": 50}, frozenset({"8:1"}))
    assert look.host.memory == HostMemory(9 << 10, 3 << 10, 4 << 10, scanned=11)
    assert looker.cpu_seconds > 0


def test_only_the_files_of_what_is_short_are_read(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    looker, read = Looker(host.sampler()), set[str]()
    content = Directory.content

    def noting(directory: Directory, name: str) -> object:
        read.add(name)
        return content(directory, name)

    monkeypatch.setattr(Directory, "content", noting)
    take(looker, resources=("cpu",))
    assert read == {"cpu.pressure", "cpu.stat", "cpu.max", "cpuset.cpus"}
    read.clear()
    take(looker, looker.begin(("cpu", "memory"), last=False))
    assert read == {"cpu.pressure", "memory.pressure", "cpu.stat", "memory.events", "memory.stat", "memory.current"}


def test_files_of_the_host_that_are_absent_or_malformed_are_not_known(host: FakeHost, tmp_path: Path) -> None:
    for path in ("stat", "diskstats", "vmstat"):
        (tmp_path / "proc" / path).write_text("cpu x\n")
    sampler = host.sampler()
    found = take(Looker(sampler)).host
    assert (found.cpus, found.devices, found.memory) == ({}, None, HostMemory(9 << 10, 3 << 10, 4 << 10, None))
    for path in ("stat", "diskstats", "vmstat", "meminfo"):
        (tmp_path / "proc" / path).unlink()
    assert take(Looker(sampler)).host == Host(sampler.host.cores())


@pytest.mark.parametrize("hangs", [False, True])
def test_one_that_ends_or_hangs_meanwhile_is_left_out_and_the_others_are_read(host: FakeHost, hangs: bool) -> None:
    sampler = host.sampler()
    looker = Looker(sampler)
    begun = looker.begin(ALL)
    web = next(each for each in begun.items if isinstance(each, Container) and each.identity.name == "web")
    if not hangs:
        host.remove("web")
    with web.reading() if hangs else contextlib.nullcontext():  # as another thread does whose file hangs
        look = take(looker, begun)
    assert [identity.name for identity, _, _ in look.containers.values()] == ["db"]
    assert sampler.read_errors.get("hung", 0) == int(hangs)
    assert len(take(looker).containers) == 1 + hangs


def test_one_that_was_made_anew_is_another_life(host: FakeHost) -> None:
    looker = Looker(host.sampler())
    before = take(looker)
    host.recreate("web")
    (host.scope("web") / "cpu.pressure").write_text(STALL.format(10**9))
    assert verdicts(before, take(looker), ALL) == []


def test_two_looks_tell_the_cause(host: FakeHost) -> None:
    looker = Looker(host.sampler())
    before = take(looker, looker.begin(ALL, last=False))
    host.set("web", "cpu.pressure", STALL.format(10**9))
    host.set("web", "cpu.stat", "usage_usec 9\nnr_periods 23\nnr_throttled 22\nthrottled_usec 900000000\n")
    (said,) = verdicts(before, take(looker), ALL)
    assert (said.identity.name, said.cause, said.limit) == ("web", Cause.OWN_LIMIT, "cpu.max")
