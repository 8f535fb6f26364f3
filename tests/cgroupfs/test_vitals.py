"""What is compared from one look to the next, and what is kept open for it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cgroupfs import VITALS, CgroupGone, Descriptors, Version, Vitals
from helpers import fail_reads, made_cgroup, open_descriptors

FILES: dict[Version, dict[str, bytes | str]] = {
    Version.V1: {
        "pids.current": "4\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "memory.max_usage_in_bytes": "77\n",
    },
    Version.V2: {"pids.current": "4\n", "memory.events": "low 0\noom 3\noom_kill 2\n", "memory.peak": "77\n"},
}
ALL = Vitals(4, 2, 77)


@pytest.mark.parametrize("version", [Version.V1, Version.V2])
@pytest.mark.parametrize("kept", [9, 2, 0])
def test_all_are_read_whatever_may_be_kept_open_and_closing_gives_it_back(
    tmp_path: Path, version: Version, kept: int
) -> None:
    before, budget = len(open_descriptors()), Descriptors(kept)
    group = made_cgroup(tmp_path, version, FILES[version])
    reader = group.reader(VITALS, budget)
    assert budget.used == min(kept, 3) == len(open_descriptors()) - before
    assert (reader.read(), reader.read("memory")) == (ALL, Vitals(None, 2, 77))
    assert group.memory().events.oom_kill == 2
    kills = tmp_path / "cg/c" / ("memory.oom_control" if version is Version.V1 else "memory.events")
    kills.write_text(kills.read_text().replace("oom_kill 2", "oom_kill 5"))
    assert reader.read("memory") == Vitals(None, 5, 77), "it is seen while the file stays open"
    reader.close()
    reader.close()
    assert (budget.used, len(open_descriptors())) == (0, before)


@pytest.mark.parametrize("missing", [*FILES[Version.V2]])
def test_a_file_that_is_not_there_costs_its_own_value_and_no_descriptor(tmp_path: Path, missing: str) -> None:
    group, budget = made_cgroup(tmp_path, Version.V2, FILES[Version.V2]), Descriptors(9)
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
    before, budget = len(open_descriptors()), Descriptors(9)
    reader = made_cgroup(tmp_path, Version.V2, FILES[Version.V2]).reader(VITALS, budget)

    with monkeypatch.context() as patch:
        fail_reads(patch, number)
        for controllers in ((), ("memory",)):
            with pytest.raises(CgroupGone):
                reader.read(*controllers)
    reader.close()
    assert (budget.used, len(open_descriptors())) == (0, before)


def test_a_reader_of_a_cgroup_that_goes_while_it_is_made_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, budget = len(open_descriptors()), Descriptors(9)
    group = made_cgroup(tmp_path, Version.V2, FILES[Version.V2])
    original = os.open

    def gone(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "memory.peak":
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return original(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", gone)
        with pytest.raises(CgroupGone):
            group.reader(VITALS, budget)
    assert (budget.used, len(open_descriptors())) == (0, before)
