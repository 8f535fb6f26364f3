"""Rarely changing files are read only when they changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cgroupfs import MAX, CounterReader, Descriptors, Directory, Version
from cgstatd.host import limit_changes
from cgstatd.host.inotify import Inotify
from cgstatd.host.limit_changes import LimitChanges
from sidebyside import side_by_side

FILES = {
    "cpu.stat": "usage_usec 5\n",
    "memory.current": "10\n",
    "memory.stat": "inactive_file 1\n",
    "memory.max": "max\n",
    "io.stat": "",
    "cgroup.events": "populated 1\nfrozen 0\n",
}


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def reader(cgroup: Path) -> Iterator[CounterReader]:
    with Directory(str(cgroup)) as directory:
        source = (directory, Version.V2)
        made = CounterReader(source, source, source, source, Descriptors(100))
    yield made
    made.close()


def reads(reader: CounterReader, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that one reading reads."""
    seen: list[str] = []
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        return real(fd, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread)
        reader.read()
    return seen


RARELY = {"memory.max", "cgroup.events"}


@pytest.fixture
def followed() -> Iterator[LimitChanges]:
    made = LimitChanges(True)
    yield made
    made.close()


def test_a_followed_reader_reads_limit_and_state_once_and_what_nobody_tells_after_a_while(
    followed: LimitChanges, reader: CounterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.follow(reader)
    again = limit_changes.LOOK_AGAIN_NS
    for now, read in ((0, True), (0, False), (again - 1, False), (again, True)):
        followed.refresh(now)
        assert RARELY & set(reads(reader, monkeypatch)) == (RARELY if read else set())


@pytest.mark.parametrize("full", [False, True], ids=["not followed", "without a watch left"])
def test_a_reader_that_is_not_followed_reads_everything_each_time(
    reader: CounterReader, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    def none_left(_self: object, _path: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Inotify, "add_file", none_left)
    unfollowed = LimitChanges(full)
    unfollowed.follow(reader)
    unfollowed.refresh(0)
    assert not reader.followed
    for _ in range(2):
        assert set(reads(reader, monkeypatch)) >= RARELY
    unfollowed.close()


def test_a_new_limit_and_a_pause_are_seen_at_the_next_pass(
    followed: LimitChanges, reader: CounterReader, cgroup: Path
) -> None:
    followed.follow(reader)
    for now, limit, frozen in ((0, MAX, False), (1, 4096, True)):
        if frozen:
            for name, content in (("memory.max", "4096\n"), ("cgroup.events", "populated 1\nfrozen 1\n")):
                with open(cgroup / name, "r+") as file:
                    file.write(content)
        followed.refresh(now)
        found = reader.read()
        assert (found.memory_max_bytes, found.frozen) == (limit, frozen)
    reader.close()
    (cgroup / "memory.max").unlink()
    followed.refresh(2)
    assert not reader.followed, "there is nothing left to be told of"


def test_a_forgotten_reader_is_told_nothing_and_leaves_no_watch(
    followed: LimitChanges, reader: CounterReader, cgroup: Path
) -> None:
    followed.follow(reader)
    followed.forget(reader)
    (cgroup / "memory.max").write_text("1\n")
    followed.refresh(0)
    assert not followed._readers and not followed._watches


class Followed:
    """As much of a CounterReader as is followed."""

    followed = False

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def rarely_changing(self) -> list[str]:
        return [self._path]

    def changed(self) -> None:
        pass


def test_readers_come_and_go_while_another_thread_passes_on_what_changed(followed: LimitChanges, cgroup: Path) -> None:
    readers = [cast(CounterReader, Followed(cgroup / "memory.max")) for _ in range(400)]

    def come_and_go(several: list[CounterReader]) -> None:
        for each in several:
            followed.follow(each)
        for each in several:
            followed.forget(each)

    def pass_on(number: int) -> None:
        for turn in range(100):
            followed.refresh((number * 100 + turn) * limit_changes.LOOK_AGAIN_NS)

    first, second = readers[:200], readers[200:]
    side_by_side(lambda _: come_and_go(first), lambda _: come_and_go(second), pass_on, times=20)
