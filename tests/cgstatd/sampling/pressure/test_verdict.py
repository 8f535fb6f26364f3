"""From two looks to who waits for what, and why: every case, from counters alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from cgroupfs import MAX, DeviceIo, DeviceLimit
from cgstatd.host.identity import Identity
from cgstatd.sampling.pressure.looks import Counted, Host, HostMemory, Look
from cgstatd.sampling.pressure.verdict import MOST_JUDGED, Cause, Verdict, verdicts

MIB = 1 << 20
GIB = 1 << 30
SHORT = HostMemory(GIB, 20 * MIB, 30 * MIB, scanned=9000)
AMPLE = HostMemory(24 * GIB, 2 * GIB, 21 * GIB, scanned=9000)
"""Streams through the page cache make the kernel look for memory, too."""
SECONDS = 2
CPU_ZERO: dict[str, Any] = {
    "cpu_stall_usec": 0, "cpu_nsec": 0, "periods": 0, "throttled_periods": 0, "throttled_nsec": 0, "quota_usec": MAX,
    "period_usec": 100_000, "cpus": frozenset(),
}  # fmt: skip
MEMORY_ZERO: dict[str, Any] = {
    "memory_stall_usec": 0, "memory_bytes": 10 * MIB, "memory_high": MAX, "memory_max": MAX, "high_events": 0,
    "max_events": 0, "refaults": 0,
}  # fmt: skip
IO_ZERO: dict[str, Any] = {"io_stall_usec": 0, "devices": (), "io_limits": ()}
ZERO = Counted(**CPU_ZERO, **MEMORY_ZERO, **IO_ZERO)


def named(name: str) -> Identity:
    return Identity(name * 8, name, "docker", 0, None)


class Case:
    """Two looks, two seconds apart; a container's counters begin at 0, and its keywords are what they are later."""

    def __init__(
        self,
        cores: int = 2,
        busy: float | None = None,
        disk: tuple[DeviceIo, ...] | None = None,
        disk_busy: float = 1.0,
        memory: HostMemory | None = None,
        stolen: float = 0.0,
    ) -> None:
        """``busy``: processors that all programs used; ``disk_busy``: share of the time, of each device."""
        ticks = (round((busy or 0.0) * 200 / cores), round(stolen * 200), 200)
        cpus = {} if busy is None else dict.fromkeys(range(cores), ticks)
        worked = {each.device: 1000 + round(disk_busy * SECONDS * 1000) for each in disk or ()}
        calm = memory and memory._replace(scanned=0)
        idle, begun = dict.fromkeys(worked, 1000), dict.fromkeys(cpus, (0, 0, 0))
        none = None if disk is None else ()
        self.before = Look(Host(cores, none, disk_busy_ms=idle, cpus=begun, memory=calm), {}, {})
        self.after = Look(Host(cores, disk, disk_busy_ms=worked, cpus=cpus, memory=memory), {}, {})

    def add(self, name: str, path: str = "", was: Mapping[str, Any] | None = None, **grown: Any) -> Case:
        path = path or f"/system.slice/docker-{name}.scope"
        for look, now_ns, figures in ((self.before, 0, was or {}), (self.after, SECONDS * 10**9, grown)):
            containers: Any = look.containers
            containers[name] = named(name), path, ZERO._replace(monotonic_ns=now_ns, **figures)
        return self

    def above(self, path: str, **grown: Any) -> Case:
        for look, now_ns, figures in ((self.before, 0, {}), (self.after, SECONDS * 10**9, grown)):
            above: Any = look.above
            above[path] = ZERO._replace(monotonic_ns=now_ns, **figures)
        return self

    def found(self, *resources: str) -> list[Verdict]:
        return verdicts(self.before, self.after, resources or ("cpu", "memory", "io"))

    def one(self, *resources: str) -> Verdict:
        (found,) = self.found(*resources)
        return found


def stalled(share: float) -> int:
    """Microseconds of the two seconds."""
    return round(share * SECONDS * 1_000_000)


def used(cores: float) -> int:
    return round(cores * SECONDS * 1e9)


def throttled(quota: int = 50_000, periods: int = 20, of: int = 20, seconds: float = 1.0) -> dict[str, Any]:
    return {
        "quota_usec": quota, "periods": of, "throttled_periods": periods, "throttled_nsec": round(seconds * 1e9),
    }  # fmt: skip


def shares(said: Verdict) -> list[tuple[str, float]]:
    return [("" if each.identity is None else each.identity.name, round(each.amount, 2)) for each in said.shares]


def io(device: str, read: float = 0, written: float = 0, reads: int = 0, writes: int = 0) -> DeviceIo:
    """In MiB and operations."""
    return DeviceIo(device, round(read * MIB), round(written * MIB), reads, writes)


def waits(resource: str, share: float, **more: Any) -> dict[str, Any]:
    return {f"{resource}_stall_usec": stalled(share), **more}


V1: dict[str, Any] = {"cpu_stall_usec": None, "memory_stall_usec": None, "io_stall_usec": None}
OWN, ABOVE, NEIGHBOURS, ITSELF, UNKNOWN = (
    Cause.OWN_LIMIT, Cause.ABOVE_LIMIT, Cause.NEIGHBOURS, Cause.ITSELF, Cause.UNKNOWN
)  # fmt: skip
near = pytest.approx


def row(why: str, case: Case, cause: Cause, **more: Any) -> Any:
    """``more``: what else the only verdict says; ``shares``: as names and amounts."""
    return pytest.param(case, {"cause": cause, **more}, id=why)


def judged(case: Case, expected: dict[str, Any]) -> None:
    said = case.one()
    found = {key: shares(said) if key == "shares" else getattr(said, key) for key in expected}
    assert found == expected


# -- processors

ONE, EVERY = frozenset({1}), frozenset(range(4))


def starved(share: float, cores: float, **more: Any) -> dict[str, Any]:
    """It waits for a processor, and gets so much of them."""
    return waits("cpu", share, cpu_nsec=used(cores), **more)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        row("a quota that ran out is its own limit", Case(busy=0.5).add("web", **starved(0.5, 0.5), **throttled()), OWN,
            identity=named("web"), resource="cpu", limit="cpu.max", limit_value=0.5, stalled=0.5, throttled=1.0,
            own=0.5, cgroup="/system.slice/docker-web.scope"),
        row("it explains too little of the wait", Case(cores=1, busy=1.0).add("burn", **starved(0.0, 0.7))
            .add("web", **starved(0.9, 0.3), **throttled(periods=4, seconds=0.1)), NEIGHBOURS),
        row("or in too few periods: the time is summed up over 64 processors", Case(cores=64, busy=62.0)
            .add("burn", cpu_nsec=used(60)).add("web", **starved(0.9, 2), **throttled(periods=1, seconds=5.0)),
            NEIGHBOURS),
        row("the quota of a cgroup above is named", Case(busy=0.5)
            .add("web", "/shop.slice/docker-web.scope", **starved(0.5, 0.5)).above("/shop.slice", **throttled()),
            ABOVE, cgroup="/shop.slice", limit_value=0.5),
        row("a CPU set that is used up is a limit", Case(cores=4, busy=1.0)
            .add("web", **starved(0.6, 0.99), cpus=ONE), OWN, limit="cpuset.cpus", limit_value=1),
        row("that of a cgroup above, too", Case(cores=4, busy=1.0)
            .add("web", "/a/web", **starved(0.6, 0.99)).above("/a", cpus=ONE), ABOVE),
        row("a set of all processors is none", Case(cores=4, busy=4.0)
            .add("web", **starved(0.6, 3.9), cpus=EVERY), ITSELF),
        row("neighbours that take the processor are named with what they take", Case(cores=1, busy=1.0)
            .add("web", **starved(0.7, 0.3)).add("burn", cpu_nsec=used(0.5)).add("idle")
            .add("some", cpu_nsec=used(0.05)), NEIGHBOURS, own=near(0.3),
            shares=[("burn", 0.5), ("", 0.15), ("some", 0.05)]),
        row("what is nested counts once", Case(cores=1, busy=1.0).add("web", **starved(0.7, 0.3))
            .add("outer", "/lxc.payload.outer", cpu_nsec=used(0.7))
            .add("inner", "/lxc.payload.outer/docker/inner", cpu_nsec=used(0.7)), NEIGHBOURS, shares=[("outer", 0.7)]),
        row("and what it is nested in is no neighbour", Case(cores=1, busy=1.0)
            .add("outer", "/lxc.payload.outer", cpu_nsec=used(1.0))
            .add("inner", "/lxc.payload.outer/docker/inner", **starved(0.7, 1.0)), ITSELF),
        row("programs outside of containers are neighbours too", Case(cores=1, busy=1.0)
            .add("web", **starved(0.7, 0.2)), NEIGHBOURS, shares=[("", 0.8)]),
        row("more threads than processors are its own doing", Case(cores=2, busy=2.0)
            .add("build", **starved(1.0, 1.9)).add("web", cpu_nsec=used(0.05)), ITSELF, shares=[]),
        row("no counter of the host explains it", Case(cores=4, busy=0.2).add("web", **starved(0.7, 0.2)), UNKNOWN),
        row("processors that stood idle are not what it waited for", Case(cores=4, busy=0.8, stolen=0.25)
            .add("web", **starved(0.7, 0.1)).add("some", cpu_nsec=used(0.6)), UNKNOWN, stolen=0.25, shares=[],
            busy=near(0.2)),
        row("the host does not say how busy they were", Case(cores=4).add("web", **waits("cpu", 0.7))
            .add("some", cpu_nsec=used(2)), UNKNOWN, busy=None),
    ],
)  # fmt: skip
def test_who_waits_for_a_processor_and_why(case: Case, expected: dict[str, Any]) -> None:
    judged(case, expected)


def test_only_who_may_use_the_same_processors_is_a_neighbour() -> None:
    case = Case(cores=4, busy=2.0).add("web", cpu_stall_usec=stalled(0.7), cpu_nsec=used(0.3), cpus=frozenset({0}))
    case.add("burn", "/set/burn", cpu_nsec=used(0.7)).above("/set", cpus=frozenset({0, 9}))
    case.add("far", cpu_nsec=used(1.0), cpus=frozenset({1}))
    for host, cpu0, cpu1 in ((case.before.host, (0, 0, 0), (0, 0, 0)), (case.after.host, (200, 0, 200), (200, 0, 200))):
        ticks: Any = host.cpus
        ticks.update({0: cpu0, 1: cpu1, 2: (0, 0, 1), 3: (0, 0, 1)})
    said = case.one()
    assert (said.cause, shares(said)) == (Cause.NEIGHBOURS, [("burn", 0.7)])
    free: Any = case.after.host.cpus
    free[0] = (20, 0, 200)  # the one that it may use has little to do, whatever the others have
    assert case.one().cause is Cause.UNKNOWN


# -- memory

AT_LIMIT: dict[str, Any] = {
    "memory_max": 24 * MIB, "memory_bytes": 22 * MIB, "refaults": 9000, "was": {"memory_bytes": 23 * MIB},
}  # fmt: skip
"""At its limit, and reads back what was dropped."""
SLOW = waits("memory", 0.1)


def at_limit(memory: HostMemory = AMPLE, **more: Any) -> Case:
    return Case(memory=memory).add("web", **SLOW, **AT_LIMIT | more)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        row("memory.high is its own limit, with what it reads again", Case()
            .add("web", **waits("memory", 0.4), memory_high=64 * MIB, high_events=50, refaults=600), OWN,
            resource="memory", limit="memory.high", limit_value=64 * MIB, refaults=300.0,
            cgroup="/system.slice/docker-web.scope"),
        row("memory.max is its own limit", Case().add("web", **waits("memory", 0.4), memory_max=64 * MIB, max_events=5),
            OWN, limit="memory.max", limit_value=64 * MIB),
        row("the limit of a cgroup above", Case().add("web", "/shop/web", **waits("memory", 0.4))
            .above("/shop", memory_high=100 * MIB, high_events=7), ABOVE, cgroup="/shop", limit="memory.high"),
        row("memory.events counts what is below, too", Case().add("web", "/shop/web", **waits("memory", 0.4))
            .above("/shop", memory_high=100 * MIB, high_events=7)
            .add("db", "/shop/db", memory_high=5 * MIB, high_events=7), UNKNOWN),
        row("a host that is short of memory has neighbours with the most", Case(memory=SHORT)
            .add("web", **waits("memory", 0.2)).add("heap", memory_bytes=900 * MIB), NEIGHBOURS, own=10 * MIB,
            shares=[("heap", 900 * MIB), ("", 94 * MIB)], available=30 * MIB, total=GIB),
        row("it has the most itself", Case(memory=SHORT)
            .add("heap", **waits("memory", 0.2), memory_bytes=900 * MIB), ITSELF),
        row("programs outside of containers have it", Case(memory=SHORT)
            .add("web", **waits("memory", 0.2), memory_bytes=100 * MIB), NEIGHBOURS, shares=[("", 904 * MIB)]),
        *(row("a host that is not short is never said to be", Case(memory=memory)
              .add("web", **waits("memory", 0.6), refaults=9000).add("heap", memory_bytes=900 * MIB), UNKNOWN,
              shares=[], available=memory and memory.available)
          for memory in (AMPLE, SHORT._replace(scanned=0), None)),
        # v1 with the same limit for memory and swap: memory.failcnt stands still, no hit is counted
        row("who is at its limit is held up by it", at_limit(), OWN, limit="memory.max", limit_value=24 * MIB),
        row("also where some was freed in one of the looks", at_limit(memory_bytes=16 * MIB), OWN),
        row("for the disk, too", Case(disk=(io("254:0", 80, 0, 80),), memory=AMPLE)
            .add("web", **waits("io", 0.7), devices=(io("254:0", 60, 0, 60),), **AT_LIMIT), OWN, resource="io",
            limit="memory.max"),
        row("on v1, too", Case(memory=AMPLE)
            .add("web", **AT_LIMIT | {"was": V1 | {"memory_bytes": 23 * MIB}} | V1), OWN),
        row("a cache that fills the limit is no trouble", at_limit(refaults=2), UNKNOWN),
        row("far from the limit", at_limit(memory_max=80 * MIB), UNKNOWN),
        row("the host is short", at_limit(SHORT), NEIGHBOURS),
        row("the limit above that is reached is named though no hit is counted", Case(memory=AMPLE)
            .add("web", "/shop/web", **waits("memory", 0.4), refaults=9000)
            .above("/shop", memory_max=24 * MIB, memory_bytes=24 * MIB), ABOVE, cgroup="/shop", limit="memory.max"),
    ],
)  # fmt: skip
def test_who_waits_for_memory_and_why(case: Case, expected: dict[str, Any]) -> None:
    judged(case, expected)


# -- disks

BUSY = (io("254:0", 0, 8, 0, 10), io("254:16", 0, 160, 0, 160))
USED = tuple(DeviceIo(each.device, 5, 5, 1, 1) for each in BUSY)
DUMP = (io("254:0", 0, 164, 0, 200), io("7:0", 0, 164, 0, 200))
LOG = (io("254:0", 0, 4, 0, 40),)
A_LITTLE = (DeviceIo("254:0", 9, 0, 1, 0),)
WRITES = (io("254:0", 0, 2, 0, 20),)
STACKED = Case(disk=(io("253:0", 9, 0, 9), io("254:0", 9, 0, 9))).add(
    "db", **waits("io", 0.8), devices=(io("253:0", 9, 0, 9), io("254:0", 9, 0, 9))
)
STACKED.after = STACKED.after._replace(host=STACKED.after.host._replace(stacked=frozenset({"253:0"})))


def limited(read: int | None = None, written: int | None = None, writes: int | None = None) -> tuple[DeviceLimit, ...]:
    """Of the disk, in bytes and operations a second."""
    return (DeviceLimit("254:0", read, written, None, writes),)


def held(busy: float, limits: tuple[DeviceLimit, ...]) -> Case:
    """A write of 5 MiB at 0.5 MiB/s takes ten seconds: nothing gets through for longer than the looks are apart."""
    done, log = (io("254:0", 0, 20, 0, 4),), (io("254:0", 0, 1, 0, 10),)
    case = Case(disk=log, disk_busy=busy).add("log", devices=log)
    return case.add("web", was={"devices": done}, **waits("io", 1.0), devices=done, io_limits=limits)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        row("a neighbour that writes is named with the disk", Case(disk=DUMP)
            .add("web", **waits("io", 0.8), devices=(io("254:0", 2, 0, 20),))
            .add("dump", devices=(io("254:0", 0, 160, 0, 160),)), NEIGHBOURS, resource="io", device="254:0",
            shares=[("dump", 80 * MIB), ("", MIB)], own=MIB),
        row("who got nothing done waits for the busiest of the disks that it uses", Case(disk=BUSY)
            .add("web", was={"devices": USED}, **waits("io", 0.8), devices=USED), NEIGHBOURS, device="254:16",
            shares=[("", 80 * MIB)]),
        row("it uses no disk: a network's file system, say", Case(disk=BUSY).add("web", **waits("io", 0.8)), UNKNOWN,
            device="", shares=[]),
        row("a disk that stood idle is not what it waited for", Case(disk=LOG, disk_busy=0.1)
            .add("web", **waits("io", 0.9), devices=A_LITTLE).add("log", devices=LOG), UNKNOWN, device="254:0",
            shares=[], busy=near(0.1)),
        row("a disk that does not say how busy it was is no cause", Case(disk=())
            .add("web", **waits("io", 0.9), devices=A_LITTLE).add("log", devices=LOG), UNKNOWN, device="254:0",
            busy=None),
        row("its own reading keeps the disk busy", Case(disk=(io("254:0", 82, 0, 20_010),))
            .add("db", **waits("io", 0.8), devices=(io("254:0", 80, 0, 20_000),)), ITSELF, device="254:0",
            own=40 * MIB),
        row("small operations count", Case(disk=(io("8:0", 60, 0, 10_060),))
            .add("db", **waits("io", 0.8), devices=(io("8:0", 20, 0, 10_000),))
            .add("dump", devices=(io("8:0", 40, 0, 60),)), ITSELF),
        row("stacked devices are not blamed", STACKED, ITSELF, device="254:0"),
        row("a limit of io.max is its own", Case(disk=WRITES)
            .add("web", **waits("io", 0.9), devices=WRITES, io_limits=limited(None, MIB)), OWN, limit="io.max wbps",
            limit_value=MIB, device="254:0"),
        row("or one above", Case(disk=WRITES).add("web", "/a/web", **waits("io", 0.9), devices=WRITES)
            .above("/a", devices=WRITES, io_limits=limited(None, MIB)), ABOVE),
        row("one that is far is none", Case(disk=WRITES)
            .add("web", **waits("io", 0.9), devices=WRITES, io_limits=limited(None, 100 * MIB)), ITSELF, limit=""),
        row("the limit that is used most is named", Case(disk=(io("254:0", 2, 2, 20, 20),)).add("web",
            **waits("io", 0.9), devices=(io("254:0", 2, 2, 20, 20),), io_limits=limited(2 * MIB, MIB, 1000)), OWN,
            limit="io.max wbps", limit_value=MIB),
        row("a low limit lets nothing through for long", held(0.02, limited(None, MIB // 2)), OWN, limit="io.max wbps",
            limit_value=MIB // 2),
        row("the disk is busy", held(0.9, limited(None, MIB // 2)), NEIGHBOURS),
        row("it does not read", held(0.02, limited(MIB // 2)), UNKNOWN),
        row("reading again what the memory limit drove out is the limit's doing", Case().add("web", **waits("io", 0.6),
            memory_max=64 * MIB, max_events=9, refaults=5000, devices=(io("254:0", 20, 0, 500),)), OWN, resource="io",
            limit="memory.max", stalled=near(0.6)),
    ],
)  # fmt: skip
def test_who_waits_for_a_disk_and_why(case: Case, expected: dict[str, Any]) -> None:
    judged(case, expected)


def test_reading_again_what_a_host_that_is_short_of_memory_drove_out_is_not_the_disks_doing() -> None:
    """The disk is busy with its reading, and would not be if others left it some memory."""
    read = (DeviceIo("254:0", 20 * MIB, 0, 500, 0),)
    for memory, cause in ((SHORT, Cause.NEIGHBOURS), (AMPLE, Cause.ITSELF)):
        case = Case(disk=read, memory=memory).add("heap", memory_bytes=900 * MIB)
        said = case.add("web", io_stall_usec=stalled(0.6), refaults=5000, devices=read).one("io")
        assert (said.resource, said.cause) == ("io", cause) and said.stalled == pytest.approx(0.6)
        assert ("heap", 900 * MIB) in shares(said) or memory is AMPLE
    case = Case(disk=read, memory=SHORT).add("heap", memory_bytes=900 * MIB)
    new = case.add("web", io_stall_usec=stalled(0.6), refaults=100, devices=read).one("io")
    assert (new.cause, new.device) == (Cause.ITSELF, "254:0")  # most of it was never read before


def test_of_two_disks_that_stood_idle_it_is_the_one_where_it_got_nothing_done() -> None:
    both = (*A_LITTLE, DeviceIo("254:16", 0, 0, 1, 1))
    case = Case(disk=LOG, disk_busy=0.1).add("log", devices=LOG)
    cast(dict[str, int], case.before.host.disk_busy_ms)["254:16"] = 0
    cast(dict[str, int], case.after.host.disk_busy_ms)["254:16"] = 2000
    case.add("web", was={"devices": both[1:]}, **waits("io", 0.9), devices=both)
    assert case.one().device == "254:16"


# -- v1, and what tells nothing


def test_v1_tells_a_limit_of_which_all_is_used_but_for_one_operation() -> None:
    limits = (DeviceLimit("254:0", MIB, None, None, None),)
    for read, reads, cause in ((MIB, 1, Cause.OWN_LIMIT), (MIB, 64, None)):  # in two seconds
        done = (DeviceIo("254:0", read, 0, reads, 0),)
        case = Case(disk=done, disk_busy=0.02).add("web", was=V1, **V1, devices=done, io_limits=limits)
        assert [said.cause for said in case.found("io")] == ([cause] if cause else [])
        busy = Case(disk=done, disk_busy=0.9).add("web", was=V1, **V1, devices=done, io_limits=limits)
        assert busy.found("io") == []


def test_calm_containers_are_not_spoken_of() -> None:
    assert Case(busy=0.1).add("web", **starved(0.05, 0.1)).add("db").found() == []


def test_v1_tells_limits_and_nothing_else() -> None:
    case = Case(cores=1, busy=1.0).add("web", was=V1, **V1, cpu_nsec=used(0.5), **throttled())
    case.add("thrash", was=V1, **V1, memory_max=64 * MIB, max_events=100, refaults=1000)
    case.add("reads", was=V1, **V1, memory_max=64 * MIB, max_events=100)  # large files, each once
    case.add("starved", was=V1, **V1, cpu_nsec=used(0.1))
    disk = (DeviceIo("254:0", 2 * MIB, 0, 20, 0),)
    for name, most in (("slow", MIB), ("quick", 2 * MIB)):
        limit = DeviceLimit("254:0", most, None, None, None)
        case.add(name, was=V1, **V1, devices=disk, io_limits=(limit,))
    found = {said.identity.name: said for said in case.found()}
    assert {name: said.cause for name, said in found.items()} == dict.fromkeys(
        ("web", "thrash", "slow"), Cause.OWN_LIMIT
    )
    assert found["slow"].limit == "io.max rbps"
    assert found["web"].stalled is None and found["thrash"].limit == "memory.max"


def test_v1_tells_a_memory_limit_that_is_thrashed_where_the_disk_alone_is_waited_for() -> None:
    """What is read back is waited for at the disk: the host's trigger for memory need not fire."""
    read = (DeviceIo("254:0", 20 * MIB, 0, 500, 0),)
    full: dict[str, Any] = {"memory_max": 24 * MIB, "memory_bytes": 23 * MIB, "devices": read}
    case = Case(disk=read, memory=AMPLE).add("thrash", was=V1, **V1, **full, refaults=5000)
    case.add("reads", was=V1, **V1, **full, refaults=50).add("large", was=V1, **V1, **full, refaults=1000)
    said = case.one("io")  # of the others most is new
    assert (said.identity.name, said.cause, said.limit) == ("thrash", Cause.OWN_LIMIT, "memory.max")
    short = Case(disk=read, memory=SHORT).add("heap", was=V1, **V1, memory_bytes=900 * MIB)
    assert short.add("reader", was=V1, **V1, devices=read, refaults=5000).found() == []


def test_a_container_that_came_or_went_between_the_looks_tells_nothing() -> None:
    case = Case(cores=1, busy=1.0).add("web", cpu_stall_usec=stalled(0.9)).add("gone", cpu_stall_usec=stalled(0.9))
    before: Any = case.before.containers
    after: Any = case.after.containers
    del before["web"], after["gone"]
    assert case.found() == []


def test_counters_that_fell_tell_nothing() -> None:
    case = Case(busy=1.0).add("web", was={"cpu_stall_usec": stalled(0.9)}, cpu_stall_usec=stalled(0.1))
    assert case.found("cpu") == []


def test_only_the_resources_that_are_asked_for() -> None:
    case = Case(cores=1, busy=1.0).add("web", cpu_stall_usec=stalled(0.5), memory_stall_usec=stalled(0.5))
    assert [said.resource for said in case.found("memory")] == ["memory"]


def test_no_more_than_a_number_get_a_verdict_those_that_waited_longest() -> None:
    case = Case(cores=1, busy=1.0)
    for number in range(MOST_JUDGED + 5):
        case.add(f"c{number}", cpu_stall_usec=stalled(0.2 + number / 1000))
    found = case.found("cpu")
    assert len(found) == MOST_JUDGED and found[0].identity.name == f"c{MOST_JUDGED + 4}"
