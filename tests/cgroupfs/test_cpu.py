"""CPU records: from the recorded hosts at their real paths, absent, malformed, gone."""

from __future__ import annotations

import errno

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import MAX, Absent, CgroupGone, Version
from cgroupfs.records import CPU
from helpers import (
    HOSTS,
    LEGACY,
    UNIFIED,
    FakeDirectory,
    at_its_real_path,
    cgroup,
    cgroups,
    read_record,
    reasons,
    unexplained,
)

STAT = b"usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 3\nthrottled_usec 2\n"


def test_a_v2_container_at_its_real_path(fs: FakeFilesystem) -> None:
    cpu = at_its_real_path(fs, UNIFIED, "burn").cpu()
    assert (cpu.usage_nsec, cpu.quota_usec, cpu.period_usec) == (53480792000, 50000, 100000)
    assert cpu.nr_throttled is not None and cpu.nr_periods is not None and 0 < cpu.nr_throttled <= cpu.nr_periods
    assert (cpu.cpus, cpu.effective_cpus) == (frozenset(), frozenset({0, 1}))
    assert cpu.missing == ()


def test_a_v1_container_at_its_real_path(fs: FakeFilesystem) -> None:
    cpu = at_its_real_path(fs, LEGACY, "burn").cpu()
    assert ((cpu.usage_nsec or 0) // 1000, cpu.quota_usec, cpu.period_usec) == (57440345, 50000, 100000)
    assert cpu.throttled_nsec is not None and 18_000_000_000 < cpu.throttled_nsec < 19_000_000_000
    assert (cpu.cpus, cpu.effective_cpus) == (frozenset({0, 1}), frozenset({0, 1}))


@pytest.mark.parametrize("host", HOSTS)
def test_every_container_has_its_times_and_every_absence_a_reason(host: str) -> None:
    for name, group in cgroups(host):
        cpu = group.cpu()
        assert cpu.usage_nsec is not None and cpu.user_nsec is not None and cpu.system_nsec is not None, name
        assert unexplained(cpu) == [], name


def test_user_and_system_time_make_up_the_usage_on_v2() -> None:
    for name, group in cgroups(UNIFIED):  # v1 samples both at ticks, so they do not add up there
        cpu = group.cpu()
        assert cpu.usage_nsec is not None and cpu.user_nsec is not None and cpu.system_nsec is not None
        assert 0 <= cpu.usage_nsec - cpu.user_nsec - cpu.system_nsec <= 1_000, name


def test_no_quota_is_max_in_both_versions() -> None:
    assert cgroup(UNIFIED, "web").cpu().quota_usec is MAX
    assert cgroup(LEGACY, "web").cpu().quota_usec is MAX


def test_without_any_directory_every_value_is_absent_with_a_reason() -> None:
    for record in (read_record(CPU, version, None) for version in Version):
        assert unexplained(record) == []
        assert record.usage_nsec is None and record.quota_usec is None and record.cpus is None
        assert set(reasons(record).values()) == {Absent.CONTROLLER_OFF}


def test_v2_usage_is_there_without_the_cpu_controller_and_the_rest_says_why_not() -> None:
    acct = FakeDirectory({"cpu.stat": b"usage_usec 30\nuser_usec 20\nsystem_usec 10\n"})
    record = read_record(CPU, Version.V2, None, cpuacct=acct)
    assert (record.usage_nsec, record.user_nsec, record.system_nsec) == (30_000, 20_000, 10_000)
    assert {reasons(record)[name] for name in ("nr_periods", "quota_usec", "period_usec")} == {Absent.CONTROLLER_OFF}
    record = read_record(CPU, Version.V2, acct)
    assert reasons(record)["nr_periods"] is Absent.KEY_ABSENT
    assert unexplained(record) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (errno.ENOENT, Absent.FILE_ABSENT),
        (errno.EACCES, Absent.PERMISSION),
        (errno.EOPNOTSUPP, Absent.UNSUPPORTED),
        (errno.EIO, Absent.READ_FAILED),
        (b"garbage", Absent.MALFORMED),
        (b"", Absent.MALFORMED),
    ],
)
def test_a_bad_file_costs_its_own_values_only(content: bytes | int, reason: Absent) -> None:
    good: dict[str, bytes | int] = {
        "cpu.stat": STAT,
        "cpu.max": b"max 100000\n",
        "cpu.weight": b"100\n",
        "cpuset.cpus": b"0\n",
        "cpuset.cpus.effective": b"0\n",
    }
    bad_quota = FakeDirectory(good | {"cpu.max": content})
    record = read_record(CPU, Version.V2, bad_quota)
    assert (record.usage_nsec, record.quota_usec) == (30_000, None)
    assert reasons(record) == {"quota_usec": reason, "period_usec": reason}
    assert record.missing[0].path == "/sys/fs/cgroup/fake/cpu.max"

    bad_stat = FakeDirectory(good | {"cpu.stat": content})
    record = read_record(CPU, Version.V2, bad_stat)
    assert (record.usage_nsec, record.quota_usec, record.cpus) == (None, MAX, frozenset({0}))
    assert reasons(record)["usage_nsec"] is reason

    v1 = FakeDirectory({"cpuacct.usage": content, "cpu.cfs_quota_us": b"-1\n", "cpu.cfs_period_us": b"100000\n"})
    record = read_record(CPU, Version.V1, v1, cpuset=None)
    assert (record.usage_nsec, record.quota_usec, record.period_usec) == (None, MAX, 100000)
    assert reasons(record)["usage_nsec"] is reason


def test_gone_in_the_middle_of_the_record_is_gone_not_half_a_record() -> None:
    half = FakeDirectory({"cpu.stat": STAT, "cpu.max": errno.ENODEV})
    with pytest.raises(CgroupGone):
        read_record(CPU, Version.V2, half)
    half = FakeDirectory({"cpuacct.usage": b"1\n", "cpuacct.usage_user": errno.ENODEV})
    with pytest.raises(CgroupGone):
        read_record(CPU, Version.V1, half)
