"""Pressure records: v2 has them, v1 has reasons."""

from __future__ import annotations

import errno

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import Absent, Cgroup, CgroupGone, Stall, Version
from cgroupfs.records import PRESSURE
from helpers import (
    LEGACY,
    UNIFIED,
    at_its_real_path,
    cgroup,
    cgroups,
    read_record,
    reasons,
    unexplained,
)

SOME = b"some avg10=1.00 avg60=2.00 avg300=3.00 total=4\n"
BOTH = SOME + b"full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"


def test_a_v2_container_at_its_real_path(fs: FakeFilesystem) -> None:
    pressure = at_its_real_path(fs, UNIFIED, "burn").pressure()
    assert pressure.cpu_some is not None and pressure.cpu_some.total_usec > 0
    assert pressure.cpu_full is not None and pressure.io_full is not None
    assert pressure.missing == ()


def test_every_v2_container_has_all_six() -> None:
    for name, group in cgroups(UNIFIED):
        assert group.pressure().missing == (), name


def test_v1_has_no_pressure_and_gives_the_reason_for_each() -> None:
    pressure = cgroup(LEGACY, "burn").pressure()
    assert unexplained(pressure) == []
    assert set(reasons(pressure).values()) == {Absent.CONTROLLER_OFF}
    assert set(reasons(pressure)) == {f"{what}_{line}" for what in ("cpu", "memory", "io") for line in ("some", "full")}


def test_both_lines_of_each_file_are_in_the_record() -> None:
    pressure = read_record(PRESSURE, Version.V2, {"cpu.pressure": BOTH, "memory.pressure": BOTH, "io.pressure": BOTH})
    assert pressure.cpu_some == pressure.io_some == Stall(1.0, 2.0, 3.0, 4)
    assert pressure.memory_full == Stall(0.0, 0.0, 0.0, 5)
    assert pressure.missing == ()


def test_before_5_13_full_of_cpu_is_absent_with_its_reason() -> None:
    pressure = read_record(PRESSURE, Version.V2, {"cpu.pressure": SOME, "memory.pressure": BOTH, "io.pressure": BOTH})
    assert pressure.cpu_full is None
    assert reasons(pressure) == {"cpu_full": Absent.KEY_ABSENT}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (errno.EOPNOTSUPP, Absent.UNSUPPORTED),
        (errno.ENOENT, Absent.FILE_ABSENT),
        (b"", Absent.MALFORMED),
        (b"garbage\n", Absent.MALFORMED),
    ],
)
def test_a_file_that_is_refused_or_malformed_costs_its_own_lines_only(content: bytes | int, reason: Absent) -> None:
    pressure = read_record(
        PRESSURE, Version.V2, {"cpu.pressure": content, "memory.pressure": BOTH, "io.pressure": BOTH}
    )
    assert pressure.cpu_some is None and pressure.memory_some is not None
    assert reasons(pressure) == {"cpu_some": reason, "cpu_full": reason}


def test_gone_is_gone() -> None:
    with pytest.raises(CgroupGone):
        read_record(PRESSURE, Version.V2, {"cpu.pressure": BOTH, "memory.pressure": errno.ENODEV})
    for host in (UNIFIED, LEGACY):
        group = cgroup(host, "burn")
        with pytest.raises(CgroupGone):
            Cgroup(group._root, group._hierarchy, "/system.slice/never-was.scope").pressure()
