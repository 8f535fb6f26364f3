"""From two looks to who waits for what, and why: every case, from counters alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cgroupfs import MAX, DeviceIo, DeviceLimit
from cgstatd.host.identity import Identity
from cgstatd.sampling.pressure.looks import Counted, Host, Look
from cgstatd.sampling.pressure.verdict import MOST_JUDGED, Cause, Verdict, verdicts

MIB = 1 << 20
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

    def __init__(self, cores: int = 2, busy: float | None = None, disk: tuple[DeviceIo, ...] | None = None) -> None:
        """``busy``: processors that all programs used."""
        ticks = None if busy is None else (round(busy * 100), cores * 100)
        self.before = Look(Host((0, 0) if ticks else None, cores, None if disk is None else ()), {}, {})
        self.after = Look(Host(ticks, cores, disk), {}, {})

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
    rarely = Case(cores=64, busy=3.0).add("burn", cpu_nsec=used(60))  # summed up over 64 processors
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
    case = Case().add("web", memory_stall_usec=stalled(0.2)).add("heap", memory_bytes=900 * MIB)
    said = case.one()
    assert said.cause is Cause.NEIGHBOURS and shares(said) == [("heap", 900 * MIB)]
    alone = Case().add("heap", memory_stall_usec=stalled(0.2), memory_bytes=900 * MIB).one()
    assert alone.cause is Cause.ITSELF


def test_a_neighbour_that_writes_is_named_with_the_disk() -> None:
    disk = (DeviceIo("254:0", 0, 164 * MIB, 0, 200), DeviceIo("7:0", 0, 164 * MIB, 0, 200))
    case = Case(disk=disk).add("web", io_stall_usec=stalled(0.8), devices=(DeviceIo("254:0", 2 * MIB, 0, 20, 0),))
    case.add("dump", devices=(DeviceIo("254:0", 0, 160 * MIB, 0, 160),))
    said = case.one()
    assert (said.resource, said.cause, said.device) == ("io", Cause.NEIGHBOURS, "254:0")
    assert shares(said) == [("dump", 80 * MIB), ("", MIB)] and said.own == MIB


def test_one_that_got_nothing_done_waits_for_the_disk_that_is_busiest() -> None:
    disk = (DeviceIo("254:0", 0, 8 * MIB, 0, 10), DeviceIo("254:16", 0, 160 * MIB, 0, 160))
    said = Case(disk=disk).add("web", io_stall_usec=stalled(0.8)).one()
    assert (said.device, said.cause, shares(said)) == ("254:16", Cause.NEIGHBOURS, [("", 80 * MIB)])


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


V1 = {"cpu_stall_usec": None, "memory_stall_usec": None, "io_stall_usec": None}


def test_v1_tells_limits_and_nothing_else() -> None:
    case = Case(cores=1, busy=1.0).add("web", was=V1, **V1, cpu_nsec=used(0.5), **throttled())
    case.add("thrash", was=V1, **V1, memory_max=64 * MIB, max_events=100, refaults=1000)
    case.add("reads", was=V1, **V1, memory_max=64 * MIB, max_events=100)  # large files, each once
    case.add("starved", was=V1, **V1, cpu_nsec=used(0.1))
    found = {said.identity.name: said for said in case.found()}
    assert {name: said.cause for name, said in found.items()} == {"web": Cause.OWN_LIMIT, "thrash": Cause.OWN_LIMIT}
    assert found["web"].stalled is None and found["thrash"].limit == "memory.max"


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
