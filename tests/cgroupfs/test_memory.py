"""Memory records: from the recorded hosts, absent, malformed, gone."""

from __future__ import annotations

import errno

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import MAX, Absent, Cgroup, CgroupGone, MemoryStat, Version
from cgroupfs.records import MEMORY
from helpers import (
    HOSTS,
    LEGACY,
    UNIFIED,
    at_its_real_path,
    cgroup,
    cgroups,
    container,
    read_record,
    reasons,
    unexplained,
)

V1_NONE = b"9223372036854771712\n"


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_a_container_at_its_real_path_is_what_the_engine_said(fs: FakeFilesystem, host: str) -> None:
    entry = container(host, "cache")
    memory = at_its_real_path(fs, host, "cache").memory()
    assert memory.usage_bytes is not None and memory.usage_bytes == entry["t0"]["memoryRaw"]
    assert entry["t0"]["memoryCache"] > 0 and memory.stat.inactive_file == entry["t0"]["memoryCache"]
    assert memory.max_bytes == entry["t0"]["memoryLimit"] == 64 << 20
    assert memory.peak_bytes is not None and memory.usage_bytes <= memory.peak_bytes <= 64 << 20
    assert memory.swap_bytes == 0


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("reading", ["t0", "t1"])
def test_every_docker_container_is_what_the_engine_said(host: str, reading: str) -> None:
    compared = 0
    for name, group in cgroups(host, reading):
        figures = container(host, name).get(reading)
        if not figures or "memoryRaw" in figures.get("inexact", {}):
            continue
        memory = group.memory()
        assert (memory.usage_bytes, memory.stat.inactive_file) == (figures["memoryRaw"], figures["memoryCache"]), name
        compared += 1
    assert compared >= 11


@pytest.mark.parametrize("host", HOSTS)
def test_every_absence_has_a_reason(host: str) -> None:
    for name, group in cgroups(host):
        assert unexplained(group.memory()) == [], name


def test_no_limit_is_max_in_both_versions() -> None:
    for host in (UNIFIED, LEGACY):
        assert cgroup(host, "web").memory().max_bytes is MAX


def test_v1_says_figures_of_the_whole_subtree_under_the_names_of_v2() -> None:
    nested = cgroup(LEGACY, "nested").memory().stat
    assert nested.inactive_file == 20000768, "total_inactive_file; inactive_file alone is 0"
    assert nested.file == 20004864
    assert nested.anon == 57344


@pytest.mark.parametrize("prefix", [b"total_", b""])
def test_v1_has_other_words_for_some_keys(prefix: bytes) -> None:
    words = b"rss cache rss_huge mapped_file dirty writeback shmem inactive_file pgfault".split()
    data = b"".join(b"%b%b %d\n" % (prefix, word, number) for number, word in enumerate(words))
    assert read_record(MEMORY, Version.V1, {"memory.stat": data}).stat == MemoryStat(
        anon=0, file=1, anon_thp=2, file_mapped=3, file_dirty=4, file_writeback=5, shmem=6, inactive_file=7, pgfault=8
    )


def test_v1_says_the_tightest_limit_above_and_v2_leaves_that_to_the_ancestors() -> None:
    assert cgroup(LEGACY, "cache").memory().hierarchical_max_bytes == 64 << 20
    assert cgroup(LEGACY, "web").memory().hierarchical_max_bytes is MAX
    assert cgroup(UNIFIED, "cache").memory().hierarchical_max_bytes is None


def test_v1_swap_is_what_memory_and_swap_together_have_more_than_memory() -> None:
    files = {
        "memory.usage_in_bytes": b"100\n",
        "memory.memsw.usage_in_bytes": b"130\n",
        "memory.limit_in_bytes": b"1000\n",
        "memory.memsw.limit_in_bytes": b"1500\n",
    }
    record = read_record(MEMORY, Version.V1, files)
    assert (record.swap_bytes, record.swap_max_bytes) == (30, 500)
    files["memory.memsw.usage_in_bytes"] = b"90\n"  # the two files are not read at one instant
    assert read_record(MEMORY, Version.V1, files).swap_bytes == 0
    files["memory.memsw.limit_in_bytes"] = V1_NONE
    assert read_record(MEMORY, Version.V1, files).swap_max_bytes is MAX


def test_v1_without_swap_accounting_says_so() -> None:
    record = read_record(MEMORY, Version.V1, {"memory.usage_in_bytes": b"100\n", "memory.limit_in_bytes": V1_NONE})
    assert (record.usage_bytes, record.max_bytes, record.swap_bytes) == (100, MAX, None)
    assert reasons(record)["swap_bytes"] is Absent.FILE_ABSENT


def test_keys_of_other_kernels_are_ignored_and_missing_ones_named() -> None:
    record = read_record(
        MEMORY,
        Version.V2,
        {"memory.current": b"1\n", "memory.stat": b"anon 5\nkey_of_the_future 6\nfile 7\n"},
    )
    assert record.stat == MemoryStat(anon=5, file=7)
    assert reasons(record)["inactive_file"] is Absent.KEY_ABSENT
    assert reasons(record)["peak_bytes"] is Absent.FILE_ABSENT


def test_without_the_controller_nothing_is_zero() -> None:
    for record in (read_record(MEMORY, version, None) for version in Version):
        assert record.usage_bytes is None and record.max_bytes is None and record.stat == MemoryStat()
        assert unexplained(record) == []
        assert reasons(record)["usage_bytes"] is Absent.CONTROLLER_OFF


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (errno.EACCES, Absent.PERMISSION),
        (errno.EIO, Absent.READ_FAILED),
        (b"lots\n", Absent.MALFORMED),
        (b"", Absent.MALFORMED),
    ],
)
def test_a_bad_file_costs_its_own_values_only(content: bytes | int, reason: Absent) -> None:
    record = read_record(
        MEMORY,
        Version.V2,
        {"memory.current": content, "memory.max": b"max\n", "memory.stat": b"anon 5\n"},
    )
    assert (record.usage_bytes, record.max_bytes, record.stat.anon) == (None, MAX, 5)
    assert reasons(record)["usage_bytes"] is reason
    record = read_record(MEMORY, Version.V2, {"memory.current": b"1\n", "memory.stat": content})
    assert (record.usage_bytes, record.stat) == (1, MemoryStat())
    assert reasons(record)["anon"] is reason
    record = read_record(MEMORY, Version.V1, {"memory.usage_in_bytes": b"1\n", "memory.limit_in_bytes": content})
    assert (record.usage_bytes, record.max_bytes) == (1, None)
    assert reasons(record)["max_bytes"] is reason


def test_gone_in_the_middle_of_the_record_is_gone() -> None:
    with pytest.raises(CgroupGone):
        read_record(MEMORY, Version.V2, {"memory.current": b"1\n", "memory.stat": errno.ENODEV})
    with pytest.raises(CgroupGone):
        read_record(MEMORY, Version.V1, {"memory.usage_in_bytes": b"1\n", "memory.stat": errno.ENODEV})


def test_a_pinned_cgroup_that_was_replaced_is_gone() -> None:
    group = cgroup(UNIFIED, "web")
    root_of_tree = group._hierarchy.trees[0]
    with pytest.raises(CgroupGone):
        Cgroup(group._root, group._hierarchy, group.path, {root_of_tree.point: 1}).memory()
