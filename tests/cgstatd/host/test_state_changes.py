"""Directories of state files: which were written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgroupfs import Root
from cgstatd.basics import file_look
from cgstatd.host import state_changes
from cgstatd.host.state_changes import StateWatch
from often import often
from sidebyside import side_by_side

from .conftest import Later

SECOND = 1_000_000_000


def replace(path: Path, text: str) -> None:
    """As Docker writes: a new file renamed over the old one."""
    (path / ".new").write_text(text)
    (path / ".new").rename(path / "config.v2.json")


def settled() -> Later:
    """A root by whose clock what is looked at was written a second ago."""
    root = Later("")
    root.seconds = 1.0
    return root


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "containers/a"
    found.mkdir(parents=True)
    replace(found, "1")
    return found


@pytest.fixture
def watch() -> Iterator[StateWatch]:
    made = StateWatch(settled(), follow=True)
    yield made
    made.close()


def refuse() -> None:
    raise OSError(24, "too many")


@pytest.mark.parametrize(
    ("trusted", "patch", "watched"),
    [(True, {}, True), (False, {}, False), (True, {"Inotify": refuse}, False), (True, {"MOST_WATCHES": 0}, False)],
    ids=["of the system", "of a user", "without inotify", "without a watch left"],
)
def test_a_file_that_is_replaced_or_removed_and_a_directory_that_comes_again_are_told_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, patch: dict[str, object], watched: bool
) -> None:
    """``watched``: inotify says it; else it is found by looking."""
    for name, value in patch.items():
        monkeypatch.setattr(state_changes, name, value)
    changes: list[Callable[[], object]] = [(place / "config.v2.json").unlink, place.rmdir, place.mkdir]
    watch, now = StateWatch(settled(), follow=True), SECOND
    assert watch.follow(str(place), trusted)
    assert watch.changed(now) == set()
    for change in (lambda: replace(place, "2"), *changes):
        change()
        if place.exists():
            os.utime(place, ns=(now, now))  # two changes within one step of the clock have the same time
        assert watch.pending() is (watched and change != place.mkdir)
        now += 3 * SECOND
        assert watch.changed(now) == {str(place)}
        assert watch.changed(now + SECOND) == set()
    watch.close()


def test_what_is_written_within_the_same_tick_as_the_look_is_told_by_the_next_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_look, "version_of", lambda found: (1,))
    root = Later("")
    watch, root.seconds = StateWatch(root, follow=True), 0.0
    watch.follow(str(place), trusted=False)
    replace(place, "2")
    root.seconds = 1.0
    assert watch.changed(SECOND) == {str(place)}
    assert watch.changed(2 * SECOND) == set()
    watch.close()


def test_a_directory_of_a_user_has_no_watch_whose_events_would_be_for_all(place: Path, watch: StateWatch) -> None:
    watch.follow(str(place), trusted=False)
    for _ in range(3):
        replace(place, "x")
    assert not watch.pending()
    assert (watch.changed(SECOND), watch.changed(SECOND + 1)) == ({str(place)}, set())
    replace(place, "y")
    assert watch.changed(SECOND + 100_000_000) == set()
    assert watch.changed(SECOND + 100_000_000, hurry=True) == {str(place)}


def test_one_directory_by_two_paths_has_one_watch_that_is_kept_as_long_as_either(
    place: Path, tmp_path: Path, watch: StateWatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "containers")
    other = str(tmp_path / "link/a")
    assert [watch.follow(each, trusted=True) for each in (str(place), other, other)] == [True, True, False]
    replace(place, "2")
    assert watch.changed(SECOND) == {str(place), other}
    watch.forget(str(place))
    watch.forget(other)
    replace(place, "3")
    assert watch.changed(2 * SECOND) == {other}
    watch.forget(other)
    replace(place, "4")
    assert watch.changed(3 * SECOND) == set()


def test_a_link_out_of_the_root_is_followed_inside_it_and_of_a_recorded_tree_nothing(tmp_path: Path) -> None:
    inside, path = tmp_path / "mnt/docker/containers/a", "/var/docker/containers/a"
    inside.mkdir(parents=True)
    (tmp_path / "var").mkdir()
    os.symlink("/mnt/docker", tmp_path / "var/docker")
    for follow in (True, False):
        watch = StateWatch(Root(str(tmp_path)), follow=follow)
        assert watch.follow(path, trusted=True) is follow
        replace(inside, f"{follow}")
        assert watch.changed(SECOND) == ({path} if follow else set())
        watch.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_threads_that_name_containers_side_by_side_follow_every_place(
    tmp_path: Path, watch: StateWatch, trusted: bool
) -> None:
    places = [tmp_path / f"{number}" for number in range(20)]
    for each in places:
        each.mkdir()
    for each in places[10:]:
        watch.follow(str(each), trusted)
    found: list[str] = []
    written = threading.Event()

    def name(number: int) -> None:
        place = str(places[number % 10])
        watch.follow(place, trusted)
        watch.forget(place)

    def write(number: int) -> None:
        replace(places[number * 7 % 20], "2")
        if number == 2:  # one that is followed all the time
            written.set()

    def look(number: int) -> None:
        written.wait(60)  # else all may have looked before the first is written
        found.extend(watch.changed(number * SECOND))

    side_by_side(name, name, write, look, look, times=often(2000))
    assert found
    found.extend(watch.changed(2001 * SECOND))
    assert set(found) >= set(map(str, places[10:])), "these were followed all the time"
    for each in places[10:]:
        watch.forget(str(each))
    for each in places:
        assert watch.follow(str(each), trusted), "nothing is left of what was forgotten"
        replace(each, "3")
    assert watch.changed(2003 * SECOND) == set(map(str, places))
