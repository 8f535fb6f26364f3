"""Directories of state files: which were written."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cgroupfs import Clock, Root
from cgstatd.basics import file_look
from cgstatd.host import state_changes
from cgstatd.host.state_changes import StateWatch
from sidebyside import side_by_side

SECOND = 1_000_000_000


def replace(path: Path, text: str) -> None:
    """As Docker writes: a new file renamed over the old one."""
    (path / ".new").write_text(text)
    (path / ".new").rename(path / "config.v2.json")


class Later(Root):
    """A root whose wall clock a test moves on."""

    seconds = 1.0

    def clock(self, path: str = "") -> Clock:
        now = super().clock(path)
        return now._replace(time_ms=now.time_ms + int(self.seconds * 1000))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "containers/a"
    found.mkdir(parents=True)
    replace(found, "1")
    return found


def no_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(24, "too many")

    monkeypatch.setattr(state_changes, "Inotify", refuse)


@pytest.mark.parametrize(("trusted", "inotify"), [(True, True), (False, True), (True, False)])
def test_a_file_that_is_replaced_or_removed_is_told_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, inotify: bool
) -> None:
    if not inotify:
        no_inotify(monkeypatch)
    watch, now = StateWatch(Later(""), follow=True), SECOND
    assert watch.follow(str(place), trusted)
    assert watch.changed(now) == set()
    for change in ("replaced", "removed"):
        if change == "replaced":
            replace(place, "2")
        else:
            (place / "config.v2.json").unlink()
        os.utime(place, ns=(now, now))  # two changes within one step of the clock have the same time
        assert watch.pending() is (trusted and inotify)
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


def test_a_directory_that_goes_and_comes_again_is_told_both_times(place: Path) -> None:
    watch = StateWatch(Root(""), follow=True)
    watch.follow(str(place), trusted=True)
    (place / "config.v2.json").unlink()
    place.rmdir()
    assert str(place) in watch.changed(SECOND)
    watch.changed(2 * SECOND)
    place.mkdir()
    assert watch.changed(3 * SECOND) == {str(place)}
    watch.close()


def test_a_directory_of_a_user_has_no_watch_whose_events_would_be_for_all(place: Path) -> None:
    watch = StateWatch(Later(""), follow=True)
    watch.follow(str(place), trusted=False)
    for _ in range(3):
        replace(place, "x")
    assert not watch.pending()
    assert watch.changed(SECOND) == {str(place)}
    assert watch.changed(SECOND + 1) == set()
    replace(place, "y")
    assert watch.changed(SECOND + 100_000_000) == set()
    assert watch.changed(SECOND + 100_000_000, hurry=True) == {str(place)}
    watch.close()


def test_one_directory_by_two_paths_has_one_watch_that_is_kept_as_long_as_either(place: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "containers")
    other = str(tmp_path / "link/a")
    watch = StateWatch(Root(""), follow=True)
    assert watch.follow(str(place), trusted=True)
    assert watch.follow(other, trusted=True)
    assert not watch.follow(other, trusted=True)
    replace(place, "2")
    assert watch.changed(SECOND) == {str(place), other}
    watch.forget(str(place))
    watch.forget(other)
    replace(place, "3")
    assert watch.changed(2 * SECOND) == {other}
    watch.forget(other)
    replace(place, "4")
    assert watch.changed(3 * SECOND) == set()
    watch.close()


def test_a_link_out_of_the_root_is_followed_inside_it(tmp_path: Path) -> None:
    inside = tmp_path / "host/mnt/docker/containers/a"
    inside.mkdir(parents=True)
    (tmp_path / "host/var").mkdir()
    os.symlink("/mnt/docker", tmp_path / "host/var/docker")
    watch = StateWatch(Root(str(tmp_path / "host")), follow=True)
    watch.follow("/var/docker/containers/a", trusted=True)
    replace(inside, "1")
    assert watch.changed(SECOND) == {"/var/docker/containers/a"}
    watch.close()


def test_watches_are_bounded_and_the_others_are_looked_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_changes, "MOST_WATCHES", 0)
    watch = StateWatch(Root(""), follow=True)
    watch.follow(str(place), trusted=True)
    replace(place, "2")
    assert not watch.pending()
    assert watch.changed(SECOND) == {str(place)}
    watch.close()


def test_of_a_recorded_tree_nothing_is_watched(place: Path) -> None:
    watch = StateWatch(Root(""), follow=False)
    assert not watch.follow(str(place), trusted=True)
    replace(place, "2")
    assert watch.changed(SECOND) == set()


@pytest.mark.parametrize("trusted", [True, False])
def test_threads_that_name_containers_side_by_side_follow_every_place(tmp_path: Path, trusted: bool) -> None:
    places = [tmp_path / f"{number}" for number in range(20)]
    for each in places:
        each.mkdir()
    watch = StateWatch(Later(""), follow=True)
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

    side_by_side(name, name, write, look, look, times=2000)
    assert found
    found.extend(watch.changed(2001 * SECOND))
    assert set(found) >= set(map(str, places[10:])), "these were followed all the time"
    for each in places[10:]:
        watch.forget(str(each))
    for each in places:
        assert watch.follow(str(each), trusted), "nothing is left of what was forgotten"
        replace(each, "3")
    assert watch.changed(2003 * SECOND) == set(map(str, places))
    watch.close()
