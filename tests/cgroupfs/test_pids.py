"""The pids record, and finding a container's processes."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import MAX, Absent, Cgroup, CgroupGone, Hierarchy, Mount, Root, Version
from cgroupfs.records import PIDS
from helpers import (
    HOSTS,
    LEGACY,
    UNIFIED,
    at_its_real_path,
    cgroups,
    container,
    read_record,
    reasons,
    unexplained,
    write_files,
)


@pytest.mark.parametrize("host", [UNIFIED, LEGACY])
def test_a_container_at_its_real_path_is_what_the_engine_said(fs: FakeFilesystem, host: str) -> None:
    entry = container(host, "nested")
    pids = at_its_real_path(fs, host, "nested").pids()
    assert (pids.current, pids.max) == (entry["t0"]["pids"], 50)


@pytest.mark.parametrize("host", HOSTS)
def test_every_docker_container_is_what_the_engine_said(host: str) -> None:
    for name, group in cgroups(host):
        pids, figures = group.pids(), container(host, name).get("t0")
        assert unexplained(pids) == [], name
        if figures:
            assert pids.current == figures["pids"], name


def test_max_is_no_limit() -> None:
    assert read_record(PIDS, Version.V2, {"pids.current": b"1\n", "pids.max": b"max\n"}).max is MAX


def test_kernels_before_6_3_have_no_peak() -> None:
    pids = read_record(PIDS, Version.V2, {"pids.current": b"1\n", "pids.max": b"max\n"})
    assert pids.peak is None
    assert reasons(pids) == {"peak": Absent.FILE_ABSENT}


@pytest.mark.parametrize(
    ("content", "reason"), [(errno.EACCES, Absent.PERMISSION), (b"many\n", Absent.MALFORMED), (b"", Absent.MALFORMED)]
)
def test_a_bad_file_costs_its_own_value_only(content: bytes | int, reason: Absent) -> None:
    pids = read_record(PIDS, Version.V2, {"pids.current": content, "pids.max": b"5\n", "pids.peak": b"3\n"})
    assert (pids.current, pids.max, pids.peak) == (None, 5, 3)
    assert reasons(pids) == {"current": reason}


def test_without_the_controller_nothing_is_zero_and_gone_is_gone() -> None:
    assert set(reasons(read_record(PIDS, Version.V1, None)).values()) == {Absent.CONTROLLER_OFF}
    with pytest.raises(CgroupGone):
        read_record(PIDS, Version.V2, {"pids.current": b"1\n", "pids.max": errno.ENODEV})


# -- processes


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("reading", ["t0", "t1"])
def test_every_running_container_has_a_process(host: str, reading: str) -> None:
    for name, group in cgroups(host, reading):
        assert group.procs() or name == "flappy", name


def made(tmp_path: Path, files: dict[str, bytes | str]) -> Cgroup:
    write_files(str(tmp_path), files)
    trees = tuple(
        Mount(point, "/", Version.V1, frozenset()) for point in sorted({"/" + name.split("/")[0] for name in files})
    )
    return Cgroup(Root(str(tmp_path)), Hierarchy("legacy", (), trees), "/c")


def test_processes_of_a_payload_below_are_found(tmp_path: Path) -> None:
    group = made(tmp_path, {"a/c/cgroup.procs": "", "a/c/container/cgroup.procs": "7\n8\n"})
    assert group.procs() == [7, 8]
    assert group.procs(limit=1) == [7]


def test_an_empty_tree_gives_way_to_the_next_one(tmp_path: Path) -> None:
    assert made(tmp_path, {"a/c/cgroup.procs": "", "b/c/cgroup.procs": "9\n"}).procs() == [9]


def test_a_cgroup_without_processes_or_without_directory_has_none(tmp_path: Path) -> None:
    assert made(tmp_path, {"a/c/cgroup.procs": ""}).procs() == []
    assert made(tmp_path, {"b/x/cgroup.procs": "1\n"}).procs() == []


def test_looking_below_ends_however_deep_the_tree_is(tmp_path: Path) -> None:
    assert made(tmp_path, {"a/c/" + "d/" * 30 + "cgroup.procs": "7\n"}).procs() == []
