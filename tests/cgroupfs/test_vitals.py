"""What is compared from one look to the next, and what is kept open for it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cgroupfs import VITALS, Cgroup, CgroupGone, Descriptors, Hierarchy, Mount, Root, Version, Vitals
from helpers import fail_reads

FILES = {
    Version.V1: {
        "pids.current": "4\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "memory.max_usage_in_bytes": "77\n",
    },
    Version.V2: {"pids.current": "4\n", "memory.events": "low 0\noom 3\noom_kill 2\n", "memory.peak": "77\n"},
}
ALL = Vitals(4, 2, 77)


def made(tmp_path: Path, version: Version) -> Cgroup:
    """A cgroup at /c of one tree."""
    (tmp_path / "cg/c").mkdir(parents=True)
    for name, text in FILES[version].items():
        (tmp_path / "cg/c" / name).write_text(text)
    mount = Mount("/cg", "/", version, frozenset(("memory", "pids")))
    return Cgroup(Root(str(tmp_path)), Hierarchy("unified", (("memory", mount), ("pids", mount)), (mount,)), "/c")


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("version", [Version.V1, Version.V2])
@pytest.mark.parametrize("kept", [9, 2, 0])
def test_all_are_read_whatever_may_be_kept_open_and_closing_gives_it_back(
    tmp_path: Path, version: Version, kept: int
) -> None:
    before, budget = open_descriptors(), Descriptors(kept)
    reader = made(tmp_path, version).reader(VITALS, budget)
    assert budget.used == min(kept, 3) == open_descriptors() - before
    assert (reader.read(), reader.read("memory")) == (ALL, Vitals(None, 2, 77))
    reader.close()
    reader.close()
    assert (budget.used, open_descriptors()) == (0, before)


@pytest.mark.parametrize("missing", [*FILES[Version.V2]])
def test_a_file_that_is_not_there_costs_its_own_value_and_no_descriptor(tmp_path: Path, missing: str) -> None:
    group, budget = made(tmp_path, Version.V2), Descriptors(9)
    (tmp_path / "cg/c" / missing).unlink()
    reader = group.reader(VITALS, budget)
    assert budget.used == 2
    assert [each is None for each in reader.read()] == [name == missing for name in FILES[Version.V2]]
    reader.close()
    assert budget.used == 0


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ESRCH])
def test_of_a_cgroup_that_is_gone_the_reader_says_so_and_can_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before, budget = open_descriptors(), Descriptors(9)
    reader = made(tmp_path, Version.V2).reader(VITALS, budget)

    with monkeypatch.context() as patch:
        fail_reads(patch, number)
        for controllers in ((), ("memory",)):
            with pytest.raises(CgroupGone):
                reader.read(*controllers)
    reader.close()
    assert (budget.used, open_descriptors()) == (0, before)


def test_a_reader_of_a_cgroup_that_goes_while_it_is_made_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, budget = open_descriptors(), Descriptors(9)
    group = made(tmp_path, Version.V2)
    original = os.open

    def gone(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "memory.peak":
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return original(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", gone)
        with pytest.raises(CgroupGone):
            group.reader(VITALS, budget)
    assert (budget.used, open_descriptors()) == (0, before)
