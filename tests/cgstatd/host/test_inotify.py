"""The inotify binding, on the real kernel: it needs no right and no cgroups."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgstatd.host.inotify import IN_ATTRIB, IN_CREATE, IN_DELETE, IN_IGNORED, IN_MOVED_FROM, IN_MOVED_TO, Event, Inotify
from helpers import failing_close, make_cgroup


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    instance = Inotify()
    yield instance
    instance.close()


def masks(inotify: Inotify) -> list[tuple[int, int]]:
    """(watch, what happened) without the flag that says it was a directory."""
    return [(event.watch, event.mask & 0xFFFF) for event in inotify.events()]


def test_what_comes_goes_moves_or_has_a_new_mode_is_told_in_order_and_nothing_else(
    inotify: Inotify, tmp_path: Path
) -> None:
    assert inotify.events() == [] and not os.get_inheritable(inotify.fd)
    (tmp_path / "child").mkdir()
    (tmp_path / "memory.current").write_text("1")
    watch = inotify.add(str(tmp_path))
    assert inotify.events() == []
    (tmp_path / "child" / "below").mkdir()
    (tmp_path / "memory.current").write_text("2")
    assert inotify.events() == []
    (tmp_path / "a").mkdir()
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b").rmdir()
    (tmp_path / "child").chmod(0o700)
    tmp_path.chmod(0o755)
    told = (IN_CREATE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE, IN_ATTRIB, IN_ATTRIB)
    assert masks(inotify) == [(watch, each) for each in told]
    assert inotify.events() == []


def test_a_watch_ends_with_its_directory_or_as_it_is_removed(inotify: Inotify, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    watch = inotify.add(str(tmp_path / "a"))
    (tmp_path / "a").rmdir()
    assert masks(inotify)[-1] == (watch, IN_IGNORED)
    inotify.remove(watch)  # no error: it is gone already
    watch = inotify.add(str(tmp_path))
    inotify.remove(watch)
    (tmp_path / "a").mkdir()
    assert masks(inotify) == [(watch, IN_IGNORED)]


def test_one_directory_has_one_watch_and_a_directory_made_anew_another(inotify: Inotify, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    first = inotify.add(str(path))
    assert inotify.add(str(path)) == first
    shutil.rmtree(path)
    path.mkdir()
    assert inotify.add(str(path)) != first


def test_a_name_that_is_not_utf_8_can_be_watched_and_told(inotify: Inotify, tmp_path: Path) -> None:
    top = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(top)
    watch = inotify.add(os.fsdecode(top))
    os.mkdir(top + b"/\xfe")
    assert masks(inotify) == [(watch, IN_CREATE)]


def test_more_events_than_one_read_gives_are_all_there(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.add(str(tmp_path))
    for n in range(1000):
        (tmp_path / f"{n:0200d}").mkdir()  # 216 bytes an event: over the buffer of one read
    assert masks(inotify) == [(watch, IN_CREATE)] * 1000
    assert isinstance(Event(watch, 0), tuple)


@pytest.mark.parametrize(("name", "error"), [("absent", FileNotFoundError), ("file", NotADirectoryError)])
def test_what_is_no_directory_cannot_be_watched_and_the_error_names_it(
    inotify: Inotify, tmp_path: Path, name: str, error: type[OSError]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(error) as raised:
        inotify.add(str(tmp_path / name))
    assert raised.value.filename == str(tmp_path / name)


def test_a_close_that_fails_is_not_made_again_and_then_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux has closed it all the same: its number may be another file's by the second time."""
    inotify = Inotify()
    number, closed = inotify.fd, failing_close(monkeypatch)
    inotify.close()
    inotify.close()
    assert closed == [number]
    with pytest.raises(OSError, match="Bad file descriptor"):
        inotify.events()


@pytest.mark.host
def test_on_a_cgroup_file_system_children_and_a_new_owner_are_told(inotify: Inotify) -> None:
    top = make_cgroup()
    watch = inotify.add(top)
    try:
        os.mkdir(f"{top}/child")
        assert masks(inotify) == [(watch, IN_CREATE)]
        os.chown(f"{top}/child", 1000, 1000)
        assert masks(inotify) == [(watch, IN_ATTRIB)]
        os.chown(top, 1000, 1000)
        assert masks(inotify) == [(watch, IN_ATTRIB)]
        os.rmdir(f"{top}/child")
        assert masks(inotify) == [(watch, IN_DELETE)]
    finally:
        if os.path.isdir(f"{top}/child"):
            os.rmdir(f"{top}/child")
        os.rmdir(top)
    # kernfs keeps the link count of a directory that is gone: not every kernel tells the end of its watch
    assert masks(inotify) in ([], [(watch, IN_IGNORED)])
