"""Records of CPU, memory, pids, pressure and I/O: as the engines said on recorded hosts; absent, malformed, gone.

Block I/O of v1 is in test_io.py.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import MAX, Absent, Cgroup, CgroupGone, Descriptors, MemoryStat, Selection, Stall, Version
from cgroupfs.controllers.io import V1_BYTES
from cgroupfs.records import CPU, IO, MEMORY, PIDS, PRESSURE
from helpers import (
    HOSTS,
    LEGACY,
    TREES,
    UNIFIED,
    at_its_real_path,
    cgroup,
    cgroups,
    container,
    read_record,
    reasons,
    unexplained,
)

STAT = b"usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 3\nthrottled_usec 2\n"
SOME = b"some avg10=1.00 avg60=2.00 avg300=3.00 total=4\n"
BOTH = SOME + b"full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
V1_NONE = b"9223372036854771712\n"
Files = Mapping[str, bytes | int]


def records(group: Cgroup) -> list[Any]:
    return [group.cpu(), group.memory(), group.io(), group.pids(), group.pressure()]


def frozen(group: Cgroup, payload: str = "") -> bool | None:
    reader = group.counters(Descriptors(0), payload)
    try:
        return reader.read().frozen
    finally:
        reader.close()


# -- the recorded hosts


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_containers_at_their_real_paths(fs: FakeFilesystem, host: str) -> None:
    burn = at_its_real_path(fs, host, "burn")
    cache, nested, paused = (
        Cgroup(burn._root, burn._hierarchy, container(host, name)["cgroup"]) for name in ("cache", "nested", "paused")
    )
    cpu, memory, pids = burn.cpu(), cache.memory(), nested.pids()
    assert (cpu.usage_nsec or 0) // 1000 == {UNIFIED: 53480792, LEGACY: 57440345}[host]
    assert (cpu.quota_usec, cpu.period_usec, cpu.effective_cpus) == (50000, 100000, frozenset({0, 1}))
    assert cpu.cpus == (frozenset() if host == UNIFIED else frozenset({0, 1}))
    assert cpu.nr_throttled is not None and cpu.nr_periods is not None and 0 < cpu.nr_throttled <= cpu.nr_periods
    assert cpu.throttled_nsec is not None and cpu.throttled_nsec > 1_000_000_000
    assert host == LEGACY or cpu.missing == burn.pressure().missing == ()
    assert memory.max_bytes == container(host, "cache")["t0"]["memoryLimit"] == 64 << 20
    assert memory.usage_bytes is not None and memory.peak_bytes is not None
    assert 0 < memory.usage_bytes <= memory.peak_bytes <= 64 << 20 and memory.swap_bytes == 0
    assert (pids.current, pids.max) == (container(host, "nested")["t0"]["pids"], 50)
    assert frozen(paused) is True


def moved(field: str) -> Callable[[Cgroup], int]:
    return lambda group: sum(getattr(device, field) or 0 for device in group.io().devices or ())


SAID: dict[str, Callable[[Cgroup], int | None]] = {
    "memoryRaw": lambda group: group.memory().usage_bytes,
    "memoryCache": lambda group: group.memory().stat.inactive_file,
    "blockRead": moved("rbytes"),
    "blockWrite": moved("wbytes"),
    "pids": lambda group: group.pids().current,
}
"""A figure of the engine's, and where it is in a record."""


@pytest.mark.parametrize(("host", "reading"), TREES)
def test_every_docker_container_is_what_the_engine_said(host: str, reading: str) -> None:
    compared = 0
    for name, group in cgroups(host, reading):
        figures = container(host, name).get(reading) or {}
        inexact = figures.get("inexact", {})
        for word in SAID.keys() & figures.keys():
            if word not in inexact and not (word == "memoryCache" and "memoryRaw" in inexact):
                assert SAID[word](group) == figures[word], (name, word)
                compared += 1
    assert compared >= 11 * len(SAID)


@pytest.mark.parametrize("host", HOSTS)
def test_every_absence_has_a_reason_every_container_its_times_and_paused_ones_alone_are_frozen(host: str) -> None:
    for name, group in cgroups(host):
        assert [unexplained(each) for each in records(group)] == [[]] * 5, name
        cpu, about = group.cpu(), container(host, name)
        assert cpu.usage_nsec is not None and cpu.user_nsec is not None and cpu.system_nsec is not None, name
        if host == UNIFIED:  # v1 samples both at ticks, so they do not add up there
            assert 0 <= cpu.usage_nsec - cpu.user_nsec - cpu.system_nsec <= 1_000, name
            assert group.pressure().missing == (), name
        state = frozen(group, "container" if about["runtime"].startswith("podman") else "")
        if about["runtime"] == "nspawn" and host != UNIFIED:
            assert state is None, "systemd makes no freezer cgroup for its scopes on v1"
        else:
            assert state is (about["state"] == "paused"), name


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_no_limit_is_max_and_crun_freezes_the_payload_and_not_the_scope(host: str) -> None:
    web, paused = cgroup(host, "web"), cgroup(host, "pm-paused")
    assert web.cpu().quota_usec is web.memory().max_bytes is MAX
    assert (frozen(paused), frozen(paused, "container")) == (False, True)
    assert frozen(cgroup(host, "paused"), "container") is True, "runc makes no payload: the scope itself is asked"


# -- absent, malformed, gone

CPU_V2: Files = {
    "cpu.stat": STAT, "cpu.max": b"max 100000\n", "cpu.weight": b"100\n", "cpuset.cpus": b"0\n",
    "cpuset.cpus.effective": b"0\n",
}  # fmt: skip
CPU_V1: Files = {"cpuacct.usage": b"30000\n", "cpu.cfs_quota_us": b"-1\n", "cpu.cfs_period_us": b"100000\n"}
MEMORY_V2: Files = {"memory.current": b"1\n", "memory.max": b"max\n", "memory.stat": b"anon 5\n"}
MEMORY_V1: Files = {"memory.usage_in_bytes": b"1\n", "memory.limit_in_bytes": b"7\n"}
PIDS_V2: Files = {"pids.current": b"1\n", "pids.max": b"5\n", "pids.peak": b"3\n"}
PRESSURE_V2: Files = {f"{each}.pressure": BOTH for each in ("cpu", "memory", "io")}
REASONS: dict[bytes | int, Absent] = {
    errno.ENOENT: Absent.FILE_ABSENT, errno.EACCES: Absent.PERMISSION, errno.EOPNOTSUPP: Absent.UNSUPPORTED,
    errno.EIO: Absent.READ_FAILED, b"garbage": Absent.MALFORMED, b"": Absent.MALFORMED,
}  # fmt: skip
COSTS: list[tuple[Selection[Any], Version, Files, str, set[str]]] = [
    (CPU, Version.V2, CPU_V2, "cpu.max", {"quota_usec", "period_usec"}),
    (CPU, Version.V2, CPU_V2, "cpu.stat", {
        "usage_nsec", "user_nsec", "system_nsec", "nr_periods", "nr_throttled", "throttled_nsec",
    }),
    (CPU, Version.V1, CPU_V1, "cpuacct.usage", {"usage_nsec"}),
    (MEMORY, Version.V2, MEMORY_V2, "memory.current", {"usage_bytes"}),
    (MEMORY, Version.V2, MEMORY_V2, "memory.stat", {"anon"}),
    (MEMORY, Version.V1, MEMORY_V1, "memory.limit_in_bytes", {"max_bytes"}),
    (PIDS, Version.V2, PIDS_V2, "pids.current", {"current"}),
    (PRESSURE, Version.V2, PRESSURE_V2, "cpu.pressure", {"cpu_some", "cpu_full"}),
    (IO, Version.V2, {"io.stat": b"8:0 rbytes=1\n"}, "io.stat", {"devices"}),
]  # fmt: skip


def values(record: Any) -> dict[str, Any]:
    """Every field, those of the records inside among them."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        found |= values(value) if dataclasses.is_dataclass(value) else {field.name: value}
    found.pop("missing", None)
    return found


@pytest.mark.parametrize(
    ("selection", "version", "files", "name", "lost"), COSTS, ids=[f"{v.name}-{name}" for _, v, _, name, _ in COSTS]
)
def test_a_bad_file_costs_its_own_values_only_and_none_becomes_zero(
    selection: Selection[Any], version: Version, files: Files, name: str, lost: set[str]
) -> None:
    good = values(read_record(selection, version, files))
    assert not any(good[field] is None for field in lost)
    for content, reason in REASONS.items():
        if name == "io.stat" and content == b"":
            continue  # nothing was read or written
        record = read_record(selection, version, {**files, name: content})
        found = values(record)
        assert {field for field in good if found[field] != good[field]} - {"source"} == lost
        assert {reasons(record)[field] for field in lost} == {reason} and not any(found[field] for field in lost)
        assert f"/sys/fs/cgroup/fake/{name}" in [each.path for each in record.missing]


@pytest.mark.parametrize(
    ("selection", "version", "files"),
    [
        (CPU, Version.V2, {"cpu.stat": STAT, "cpu.max": errno.ENODEV}),
        (CPU, Version.V1, {"cpuacct.usage": b"1\n", "cpuacct.usage_user": errno.ENODEV}),
        (MEMORY, Version.V2, {"memory.current": b"1\n", "memory.stat": errno.ENODEV}),
        (MEMORY, Version.V1, {"memory.usage_in_bytes": b"1\n", "memory.stat": errno.ENODEV}),
        (PIDS, Version.V2, {"pids.current": b"1\n", "pids.max": errno.ENODEV}),
        (PRESSURE, Version.V2, {"cpu.pressure": BOTH, "memory.pressure": errno.ENODEV}),
        (IO, Version.V2, {"io.stat": errno.ENODEV}),
        (IO, Version.V1, {V1_BYTES[1]: b"8:0 Read 0\nTotal 0\n", V1_BYTES[3]: errno.ENODEV}),
    ],
)
def test_gone_in_the_middle_of_the_record_is_gone_not_half_a_record(
    selection: Selection[Any], version: Version, files: Files
) -> None:
    with pytest.raises(CgroupGone):
        read_record(selection, version, files)


@pytest.mark.parametrize("version", Version)
def test_without_the_controller_nothing_is_zero(version: Version) -> None:
    selections: list[Selection[Any]] = [CPU, MEMORY, PIDS, PRESSURE, IO]
    for selection in selections:
        record = read_record(selection, version, None)
        assert unexplained(record) == [] and not any(values(record).values())
        assert set(reasons(record).values()) == {Absent.CONTROLLER_OFF}


def test_a_pinned_cgroup_that_was_replaced_is_gone() -> None:
    group = cgroup(UNIFIED, "web")
    with pytest.raises(CgroupGone):
        Cgroup(group._root, group._hierarchy, group.path, {group._hierarchy.trees[0].point: 1}).memory()


# -- what each kernel has or has not


def test_v2_usage_is_there_without_the_cpu_controller_and_the_rest_says_why_not() -> None:
    files: Files = {"cpu.stat": b"usage_usec 30\nuser_usec 20\nsystem_usec 10\n"}
    record = read_record(CPU, Version.V2, None, cpuacct=files)
    assert (record.usage_nsec, record.user_nsec, record.system_nsec) == (30_000, 20_000, 10_000)
    assert {reasons(record)[name] for name in ("nr_periods", "quota_usec", "period_usec")} == {Absent.CONTROLLER_OFF}
    record = read_record(CPU, Version.V2, files)
    assert reasons(record)["nr_periods"] is Absent.KEY_ABSENT and unexplained(record) == []


def test_v1_says_figures_of_the_whole_subtree_under_the_names_of_v2() -> None:
    nested = cgroup(LEGACY, "nested").memory().stat
    assert nested.inactive_file == 20000768, "total_inactive_file; inactive_file alone is 0"
    assert (nested.file, nested.anon) == (20004864, 57344)


@pytest.mark.parametrize("prefix", [b"total_", b""])
def test_v1_has_other_words_for_some_keys(prefix: bytes) -> None:
    words = b"rss cache rss_huge mapped_file dirty writeback shmem inactive_file pgfault".split()
    data = b"".join(b"%b%b %d\n" % (prefix, word, number) for number, word in enumerate(words))
    assert read_record(MEMORY, Version.V1, {"memory.stat": data}).stat == MemoryStat(
        anon=0, file=1, anon_thp=2, file_mapped=3, file_dirty=4, file_writeback=5, shmem=6, inactive_file=7, pgfault=8
    )


@pytest.mark.parametrize(("host", "name", "limit"), [(LEGACY, "cache", 64 << 20), (LEGACY, "web", MAX),
                                                    (UNIFIED, "cache", None)])  # fmt: skip
def test_v1_says_the_tightest_limit_above_and_v2_leaves_that_to_the_ancestors(
    host: str, name: str, limit: object
) -> None:
    assert cgroup(host, name).memory().hierarchical_max_bytes == limit


@pytest.mark.parametrize(
    ("usage", "limit", "swap", "swap_max"),
    [
        (b"130\n", b"1500\n", 30, 500),
        (b"90\n", V1_NONE, 0, MAX),  # the two files are not read at one instant
        (errno.ENOENT, errno.ENOENT, None, None),  # no swap accounting
    ],
)
def test_v1_swap_is_what_memory_and_swap_together_have_more_than_memory(
    usage: bytes | int, limit: bytes | int, swap: int | None, swap_max: object
) -> None:
    files: Files = {"memory.usage_in_bytes": b"100\n", "memory.limit_in_bytes": b"1000\n",
                    "memory.memsw.usage_in_bytes": usage, "memory.memsw.limit_in_bytes": limit}  # fmt: skip
    record = read_record(MEMORY, Version.V1, files)
    assert (record.usage_bytes, record.swap_bytes, record.swap_max_bytes) == (100, swap, swap_max)
    assert reasons(record).get("swap_bytes") is (Absent.FILE_ABSENT if swap is None else None)


def test_keys_of_other_kernels_are_ignored_and_missing_ones_named() -> None:
    memory = read_record(MEMORY, Version.V2, {"memory.stat": b"anon 5\nkey_of_the_future 6\nfile 7\n"})
    assert memory.stat == MemoryStat(anon=5, file=7)
    assert reasons(memory)["inactive_file"] is Absent.KEY_ABSENT
    assert reasons(memory)["peak_bytes"] is Absent.FILE_ABSENT
    pids = read_record(PIDS, Version.V2, {"pids.current": b"1\n", "pids.max": b"max\n"})
    assert pids.max is MAX and reasons(pids) == {"peak": Absent.FILE_ABSENT}, "before 6.3"


def test_pressure_has_both_lines_of_each_file_but_full_of_cpu_before_5_13_and_none_on_v1() -> None:
    pressure = read_record(PRESSURE, Version.V2, PRESSURE_V2)
    assert pressure.cpu_some == pressure.io_some == Stall(1.0, 2.0, 3.0, 4)
    assert pressure.memory_full == Stall(0.0, 0.0, 0.0, 5) and pressure.missing == ()
    old = read_record(PRESSURE, Version.V2, {**PRESSURE_V2, "cpu.pressure": SOME})
    assert old.cpu_full is None and reasons(old) == {"cpu_full": Absent.KEY_ABSENT}
    names = [f"{what}_{line}" for what in ("cpu", "memory", "io") for line in ("some", "full")]
    assert reasons(cgroup(LEGACY, "burn").pressure()) == dict.fromkeys(names, Absent.CONTROLLER_OFF)
