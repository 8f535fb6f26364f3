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
        self.before = Look(
            Host(
                cores,
                None if disk is None else (),
                disk_busy_ms=dict.fromkeys(worked, 1000),
                cpus=dict.fromkeys(cpus, (0, 0, 0)),
                memory=calm,
            ),
            {},
            {},
        )
        self.after = Look(Host(cores, disk, disk_busy_ms=worked, cpus=cpus, memory=memory), {}, {})

    def add(self, name: str, path: str = "", was: Mapping[str, Any] | None = None, **grown: Any) -> Case:
        path = path or f"/system.slice/docker-{name}.scope"
        for look, now, counted in (
            (self.before, 0, ZERO._replace(**(was or {}))),
            (self.after, SECONDS * 10**9, ZERO._replace(**grown)),
        ):
            containers: Any = look.containers
            containers[name] = named(name), path, counted._replace(monotonic_ns=now)
        return self

    def above(self, path: str, **grown: Any) -> Case:
        for look, now, counted in ((self.before, 0, ZERO), (self.after, SECONDS * 10**9, ZERO._replace(**grown))):
            above: Any = look.above
            above[path] = counted._replace(monotonic_ns=now)
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


def test_calm_containers_are_not_spoken_of() -> None:
    assert Case(busy=0.1).add("web", cpu_stall_usec=stalled(0.05), cpu_nsec=used(0.1)).add("db").found() == []


def test_a_quota_that_ran_out_is_its_own_limit() -> None:
    said = Case(busy=0.5).add("web", cpu_stall_usec=stalled(0.5), cpu_nsec=used(0.5), **throttled()).one()
    assert (said.identity.name, said.resource, said.cause) == ("web", "cpu", Cause.OWN_LIMIT)
    assert (said.limit, said.limit_value, said.cgroup) == ("cpu.max", 0.5, "/system.slice/docker-web.scope")
    assert (said.stalled, said.throttled, said.own) == (0.5, 1.0, 0.5)


def test_a_quota_is_not_the_cause_where_it_explains_too_little_of_the_wait() -> None:
    case = Case(cores=1, busy=1.0).add("burn", cpu_stall_usec=stalled(0.0), cpu_nsec=used(0.7))
    case.add("web", cpu_stall_usec=stalled(0.9), cpu_nsec=used(0.3), **throttled(periods=4, seconds=0.1))
    assert case.one().cause is Cause.NEIGHBOURS
    rarely = Case(cores=64, busy=62.0).add("burn", cpu_nsec=used(60))  # summed up over 64 processors
    rarely.add("web", cpu_stall_usec=stalled(0.9), cpu_nsec=used(2), **throttled(periods=1, seconds=5.0))
    assert rarely.one().cause is Cause.NEIGHBOURS


def test_the_quota_of_a_cgroup_above_is_named() -> None:
    case = Case(busy=0.5).add("web", "/shop.slice/docker-web.scope", cpu_stall_usec=stalled(0.5), cpu_nsec=used(0.5))
    said = case.above("/shop.slice", **throttled()).one()
    assert (said.cause, said.cgroup, said.limit_value) == (Cause.ABOVE_LIMIT, "/shop.slice", 0.5)


def test_a_cpu_set_that_is_used_up_is_a_limit_and_a_set_of_all_processors_is_none() -> None:
    one = frozenset({1})
    case = Case(cores=4, busy=1.0).add("web", cpu_stall_usec=stalled(0.6), cpu_nsec=used(0.99), cpus=one)
    said = case.one()
    assert (said.cause, said.limit, said.limit_value) == (Cause.OWN_LIMIT, "cpuset.cpus", 1)
    above = Case(cores=4, busy=1.0).add("web", "/a/web", cpu_stall_usec=stalled(0.6), cpu_nsec=used(0.99))
    assert above.above("/a", cpus=one).one().cause is Cause.ABOVE_LIMIT
    every = frozenset(range(4))
    whole = Case(cores=4, busy=4.0).add("web", cpu_stall_usec=stalled(0.6), cpu_nsec=used(3.9), cpus=every)
    assert whole.one().cause is Cause.ITSELF


def test_neighbours_that_take_the_processor_are_named_with_what_they_take() -> None:
    case = Case(cores=1, busy=1.0).add("web", cpu_stall_usec=stalled(0.7), cpu_nsec=used(0.3))
    case.add("burn", cpu_nsec=used(0.5)).add("idle").add("some", cpu_nsec=used(0.05))
    said = case.one()
    assert said.cause is Cause.NEIGHBOURS and said.own == pytest.approx(0.3)
    assert shares(said) == [("burn", 0.5), ("", 0.15), ("some", 0.05)]


def test_what_is_nested_counts_once() -> None:
    case = Case(cores=1, busy=1.0).add("web", cpu_stall_usec=stalled(0.7), cpu_nsec=used(0.3))
    case.add("outer", "/lxc.payload.outer", cpu_nsec=used(0.7))
    case.add("inner", "/lxc.payload.outer/docker/inner", cpu_nsec=used(0.7))
    assert shares(case.one()) == [("outer", 0.7)]
    inside = Case(cores=1, busy=1.0).add("outer", "/lxc.payload.outer", cpu_nsec=used(1.0))
    inside.add("inner", "/lxc.payload.outer/docker/inner", cpu_stall_usec=stalled(0.7), cpu_nsec=used(1.0))
    assert inside.one().cause is Cause.ITSELF


def test_programs_outside_of_containers_are_neighbours_too() -> None:
    said = Case(cores=1, busy=1.0).add("web", cpu_stall_usec=stalled(0.7), cpu_nsec=used(0.2)).one()
    assert said.cause is Cause.NEIGHBOURS and shares(said) == [("", 0.8)]


def test_more_threads_than_processors_are_its_own_doing() -> None:
    case = Case(cores=2, busy=2.0).add("build", cpu_stall_usec=stalled(1.0), cpu_nsec=used(1.9))
    said = case.add("web", cpu_nsec=used(0.05)).one()
    assert (said.cause, said.shares) == (Cause.ITSELF, ())


def test_a_wait_that_no_counter_of_the_host_explains_is_not_known() -> None:
    said = Case(cores=4, busy=0.2).add("web", cpu_stall_usec=stalled(0.7), cpu_nsec=used(0.2)).one()
    assert said.cause is Cause.UNKNOWN


def test_memory_high_is_its_own_limit_with_what_it_reads_again() -> None:
    case = Case().add("web", memory_stall_usec=stalled(0.4), memory_high=64 * MIB, high_events=50, refaults=600)
    said = case.one()
    assert (said.resource, said.cause, said.limit, said.limit_value) == (
        "memory", Cause.OWN_LIMIT, "memory.high", 64 * MIB,
    )  # fmt: skip
    assert said.refaults == 300.0 and said.cgroup == "/system.slice/docker-web.scope"


def test_memory_max_is_its_own_limit() -> None:
    said = Case().add("web", memory_stall_usec=stalled(0.4), memory_max=64 * MIB, max_events=5).one()
    assert (said.cause, said.limit, said.limit_value) == (Cause.OWN_LIMIT, "memory.max", 64 * MIB)


def test_the_memory_limit_of_a_cgroup_above_is_told_from_those_of_containers_in_it() -> None:
    case = Case().add("web", "/shop/web", memory_stall_usec=stalled(0.4))
    case.above("/shop", memory_high=100 * MIB, high_events=7)
    said = case.one()
    assert (said.cause, said.cgroup, said.limit) == (Cause.ABOVE_LIMIT, "/shop", "memory.high")
    case.add("db", "/shop/db", memory_high=5 * MIB, high_events=7)  # memory.events counts what is below, too
    assert case.one().cause is not Cause.ABOVE_LIMIT


def test_a_host_that_is_short_of_memory_has_neighbours_with_the_most() -> None:
    case = Case(memory=SHORT).add("web", memory_stall_usec=stalled(0.2)).add("heap", memory_bytes=900 * MIB)
    said = case.one()
    assert said.cause is Cause.NEIGHBOURS and shares(said) == [("heap", 900 * MIB), ("", 94 * MIB)]
    assert (said.own, said.available, said.total) == (10 * MIB, 30 * MIB, GIB)
    alone = Case(memory=SHORT).add("heap", memory_stall_usec=stalled(0.2), memory_bytes=900 * MIB).one()
    assert alone.cause is Cause.ITSELF
    outside = Case(memory=SHORT).add("web", memory_stall_usec=stalled(0.2), memory_bytes=100 * MIB).one()
    assert outside.cause is Cause.NEIGHBOURS and shares(outside) == [("", 904 * MIB)]


@pytest.mark.parametrize("memory", [AMPLE, SHORT._replace(scanned=0), None])
def test_a_host_that_is_not_short_of_memory_is_never_said_to_be(memory: HostMemory | None) -> None:
    case = Case(memory=memory).add("web", memory_stall_usec=stalled(0.6), refaults=9000)
    said = case.add("heap", memory_bytes=900 * MIB).one()
    assert (said.cause, said.shares) == (Cause.UNKNOWN, ())
    assert said.available == (memory and memory.available)


def test_who_is_at_its_limit_and_reads_back_what_was_dropped_is_held_up_by_it_though_no_hit_is_counted() -> None:
    """v1 with the same limit for memory and swap: memory.failcnt stands still."""
    thrashing: dict[str, Any] = {
        "memory_max": 24 * MIB,
        "memory_bytes": 22 * MIB,
        "refaults": 9000,
        "was": {"memory_bytes": 23 * MIB},
    }
    said = Case(memory=AMPLE).add("web", memory_stall_usec=stalled(0.1), **thrashing).one()
    assert (said.cause, said.limit, said.limit_value) == (Cause.OWN_LIMIT, "memory.max", 24 * MIB)
    thrashing["memory_bytes"] = 16 * MIB  # freed in one of the looks
    assert Case(memory=AMPLE).add("web", memory_stall_usec=stalled(0.1), **thrashing).one().cause is Cause.OWN_LIMIT
    io = Case(disk=(DeviceIo("254:0", 80 * MIB, 0, 80, 0),), memory=AMPLE)
    io.add("web", io_stall_usec=stalled(0.7), devices=(DeviceIo("254:0", 60 * MIB, 0, 60, 0),), **thrashing)
    assert (io.one().resource, io.one().limit) == ("io", "memory.max")
    plain = Case(memory=AMPLE).add("web", **{**thrashing, "was": {**V1, "memory_bytes": 23 * MIB}}, **V1)
    assert plain.one().cause is Cause.OWN_LIMIT
    full = Case(memory=AMPLE).add("web", memory_stall_usec=stalled(0.1), **{**thrashing, "refaults": 2})
    assert full.one().cause is Cause.UNKNOWN  # a cache that fills the limit is no trouble
    far = Case(memory=AMPLE).add("web", memory_stall_usec=stalled(0.1), **{**thrashing, "memory_max": 80 * MIB})
    assert far.one().cause is Cause.UNKNOWN
    short = Case(memory=SHORT).add("web", memory_stall_usec=stalled(0.1), **thrashing)
    assert short.one().cause is Cause.NEIGHBOURS


def test_the_limit_above_that_is_reached_is_named_though_no_hit_is_counted() -> None:
    case = Case(memory=AMPLE).add("web", "/shop/web", memory_stall_usec=stalled(0.4), refaults=9000)
    said = case.above("/shop", memory_max=24 * MIB, memory_bytes=24 * MIB).one()
    assert (said.cause, said.cgroup, said.limit) == (Cause.ABOVE_LIMIT, "/shop", "memory.max")


def test_a_neighbour_that_writes_is_named_with_the_disk() -> None:
    disk = (DeviceIo("254:0", 0, 164 * MIB, 0, 200), DeviceIo("7:0", 0, 164 * MIB, 0, 200))
    case = Case(disk=disk).add("web", io_stall_usec=stalled(0.8), devices=(DeviceIo("254:0", 2 * MIB, 0, 20, 0),))
    case.add("dump", devices=(DeviceIo("254:0", 0, 160 * MIB, 0, 160),))
    said = case.one()
    assert (said.resource, said.cause, said.device) == ("io", Cause.NEIGHBOURS, "254:0")
    assert shares(said) == [("dump", 80 * MIB), ("", MIB)] and said.own == MIB


def test_one_that_got_nothing_done_waits_for_the_busiest_of_the_disks_that_it_uses() -> None:
    disk = (DeviceIo("254:0", 0, 8 * MIB, 0, 10), DeviceIo("254:16", 0, 160 * MIB, 0, 160))
    used = tuple(DeviceIo(each.device, 5, 5, 1, 1) for each in disk)
    said = Case(disk=disk).add("web", was={"devices": used}, io_stall_usec=stalled(0.8), devices=used).one()
    assert (said.device, said.cause, shares(said)) == ("254:16", Cause.NEIGHBOURS, [("", 80 * MIB)])
    never = Case(disk=disk).add("web", io_stall_usec=stalled(0.8)).one()  # a network's file system, say
    assert (never.device, never.cause, never.shares) == ("", Cause.UNKNOWN, ())


def test_a_disk_that_stood_idle_while_a_container_waited_is_not_what_it_waited_for() -> None:
    disk = (DeviceIo("254:0", 0, 4 * MIB, 0, 40),)
    case = Case(disk=disk, disk_busy=0.1).add(
        "web", io_stall_usec=stalled(0.9), devices=(DeviceIo("254:0", 9, 0, 1, 0),)
    )
    said = case.add("log", devices=(DeviceIo("254:0", 0, 4 * MIB, 0, 40),)).one()
    assert (said.cause, said.device, said.shares) == (Cause.UNKNOWN, "254:0", ()) and said.busy == pytest.approx(0.1)
    both = (DeviceIo("254:0", 9, 0, 1, 0), DeviceIo("254:16", 0, 0, 1, 1))
    cast(dict[str, int], case.before.host.disk_busy_ms)["254:16"] = 0
    cast(dict[str, int], case.after.host.disk_busy_ms)["254:16"] = 2000
    case.add("web", was={"devices": both[1:]}, io_stall_usec=stalled(0.9), devices=both)
    assert case.one().device == "254:16"  # where it got nothing done


def test_a_disk_that_does_not_say_how_busy_it_was_is_no_cause() -> None:
    case = Case(disk=()).add("web", io_stall_usec=stalled(0.9), devices=(DeviceIo("254:0", 9, 0, 1, 0),))
    said = case.add("log", devices=(DeviceIo("254:0", 0, 4 * MIB, 0, 40),)).one()
    assert (said.cause, said.device, said.busy) == (Cause.UNKNOWN, "254:0", None)


def test_its_own_reading_keeps_the_disk_busy_and_small_operations_count() -> None:
    disk = (DeviceIo("254:0", 82 * MIB, 0, 20_010, 0),)
    case = Case(disk=disk).add("db", io_stall_usec=stalled(0.8), devices=(DeviceIo("254:0", 80 * MIB, 0, 20_000, 0),))
    said = case.one()
    assert (said.cause, said.device, said.own) == (Cause.ITSELF, "254:0", 40 * MIB)
    small = Case(disk=(DeviceIo("8:0", 60 * MIB, 0, 10_060, 0),))
    small.add("db", io_stall_usec=stalled(0.8), devices=(DeviceIo("8:0", 20 * MIB, 0, 10_000, 0),))
    assert small.add("dump", devices=(DeviceIo("8:0", 40 * MIB, 0, 60, 0),)).one().cause is Cause.ITSELF


def test_stacked_devices_are_not_blamed() -> None:
    both = (DeviceIo("253:0", 9 * MIB, 0, 9, 0), DeviceIo("254:0", 9 * MIB, 0, 9, 0))
    case = Case(disk=both).add("db", io_stall_usec=stalled(0.8), devices=both)
    case.after = case.after._replace(host=case.after.host._replace(stacked=frozenset({"253:0"})))
    assert case.one().device == "254:0"


def test_a_limit_of_io_max_is_its_own_or_one_above() -> None:
    slow = (DeviceIo("254:0", 0, 2 * MIB, 0, 20),)
    limits = (DeviceLimit("254:0", None, MIB, None, None),)
    said = Case(disk=slow).add("web", io_stall_usec=stalled(0.9), devices=slow, io_limits=limits).one()
    assert (said.cause, said.limit, said.limit_value, said.device) == (Cause.OWN_LIMIT, "io.max wbps", MIB, "254:0")
    above = Case(disk=slow).add("web", "/a/web", io_stall_usec=stalled(0.9), devices=slow)
    assert above.above("/a", devices=slow, io_limits=limits).one().cause is Cause.ABOVE_LIMIT
    far = (DeviceLimit("254:0", None, 100 * MIB, None, None),)
    assert Case(disk=slow).add("web", io_stall_usec=stalled(0.9), devices=slow, io_limits=far).one().limit == ""


def test_reading_again_what_the_memory_limit_drove_out_is_the_limits_doing() -> None:
    case = Case().add(
        "web", io_stall_usec=stalled(0.6), memory_max=64 * MIB, max_events=9, refaults=5000,
        devices=(DeviceIo("254:0", 20 * MIB, 0, 500, 0),),
    )  # fmt: skip
    said = case.one("io")
    assert (said.resource, said.cause, said.limit) == ("io", Cause.OWN_LIMIT, "memory.max")
    assert said.stalled == pytest.approx(0.6)


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


def test_a_low_limit_of_io_max_lets_nothing_through_for_longer_than_the_looks_are_apart() -> None:
    """A write of 5 MiB at 0.5 MiB/s takes ten seconds, and the disk has nothing to do."""
    done = (DeviceIo("254:0", 0, 20 * MIB, 0, 4),)
    limits = (DeviceLimit("254:0", None, MIB // 2, None, None),)
    waits: Any = {"was": {"devices": done}, "io_stall_usec": stalled(1.0), "devices": done, "io_limits": limits}
    log = (DeviceIo("254:0", 0, MIB, 0, 10),)
    said = Case(disk=log, disk_busy=0.02).add("web", **waits).add("log", devices=log).one()
    assert (said.cause, said.limit, said.limit_value) == (Cause.OWN_LIMIT, "io.max wbps", MIB // 2)
    said = Case(disk=log, disk_busy=0.9).add("web", **waits).add("log", devices=log).one()
    assert said.cause is Cause.NEIGHBOURS
    never: Any = waits | {"io_limits": (DeviceLimit("254:0", MIB // 2, None, None, None),)}  # it does not read
    assert Case(disk=log, disk_busy=0.02).add("web", **never).one().cause is Cause.UNKNOWN


def test_v1_tells_a_limit_of_which_all_is_used_but_for_one_operation() -> None:
    limits = (DeviceLimit("254:0", MIB, None, None, None),)
    for read, reads, cause in ((MIB, 1, Cause.OWN_LIMIT), (MIB, 64, None)):  # in two seconds
        done = (DeviceIo("254:0", read, 0, reads, 0),)
        case = Case(disk=done, disk_busy=0.02).add("web", was=V1, **V1, devices=done, io_limits=limits)
        assert [said.cause for said in case.found("io")] == ([cause] if cause else [])
        busy = Case(disk=done, disk_busy=0.9).add("web", was=V1, **V1, devices=done, io_limits=limits)
        assert busy.found("io") == []


def test_the_limit_that_is_used_most_is_named() -> None:
    slow = (DeviceIo("254:0", 2 * MIB, 2 * MIB, 20, 20),)
    limits = (DeviceLimit("254:0", 2 * MIB, MIB, None, 1000),)
    said = Case(disk=slow).add("web", io_stall_usec=stalled(0.9), devices=slow, io_limits=limits).one()
    assert (said.limit, said.limit_value) == ("io.max wbps", MIB)


def test_processors_that_stood_idle_while_a_container_waited_are_not_what_it_waited_for() -> None:
    case = Case(cores=4, busy=0.8, stolen=0.25).add("web", cpu_stall_usec=stalled(0.7), cpu_nsec=used(0.1))
    said = case.add("some", cpu_nsec=used(0.6)).one()
    assert (said.cause, said.stolen, said.shares) == (Cause.UNKNOWN, 0.25, ()) and said.busy == pytest.approx(0.2)
    assert Case(cores=4).add("web", cpu_stall_usec=stalled(0.7)).add("some", cpu_nsec=used(2)).one().busy is None


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


V1: dict[str, Any] = {"cpu_stall_usec": None, "memory_stall_usec": None, "io_stall_usec": None}


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
