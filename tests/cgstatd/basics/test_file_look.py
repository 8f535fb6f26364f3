"""Whether a file is still what it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgstatd.basics.file_look import FileLook, is_same, look

SECOND = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_text("before")
    return found


def changed(path: Path, **times: int) -> os.stat_result:
    """What stat says of a file whose times are those."""
    found = os.stat(path)
    return os.stat_result(tuple(found), {"st_mtime_ns": found.st_mtime_ns, "st_ctime_ns": found.st_ctime_ns} | times)


def at(path: Path, later_ns: int) -> FileLook:
    """A look so much later than the last change."""
    found = os.stat(path)
    return look(found, found.st_ctime_ns + later_ns)


@pytest.mark.parametrize("later_ns", [0, 4_000_000, 99_000_000, -3_000_000])
def test_a_look_within_a_step_of_the_change_that_it_saw_is_never_the_same(file: Path, later_ns: int) -> None:
    before = at(file, later_ns)
    assert before.unsettled_ns > 0
    assert not is_same(before, at(file, SECOND))


def test_a_look_after_that_is_the_same_until_something_changes(file: Path) -> None:
    before = at(file, SECOND)
    assert is_same(before, at(file, 5 * SECOND))
    assert is_same(before, at(file, 0)), "what counts is when the earlier look was"
    os.chmod(file, 0o600)
    assert not is_same(before, at(file, SECOND))


def test_a_clock_that_was_set_back_makes_no_file_unsettled_for_ever(file: Path) -> None:
    assert is_same(at(file, -3600 * SECOND), at(file, -3599 * SECOND))


def test_times_in_whole_seconds_settle_after_two(file: Path) -> None:
    coarse = changed(file, st_ctime_ns=1_000 * SECOND)
    assert look(coarse, 1_001 * SECOND).unsettled_ns
    assert not look(coarse, 1_002 * SECOND).unsettled_ns


def test_a_file_that_comes_or_goes_is_another(file: Path) -> None:
    assert is_same(None, None)
    assert not is_same(None, at(file, SECOND))
    assert not is_same(at(file, SECOND), None)
