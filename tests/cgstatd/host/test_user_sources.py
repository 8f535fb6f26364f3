"""Users are known for as long as they have containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgstatd.host import user_sources as module
from cgstatd.host.identity import Names
from cgstatd.host.runtimes.base import Metadata, MetadataSource
from cgstatd.host.user_sources import IDLE_SECONDS, LOOKED_AT, Users
from sidebyside import side_by_side


class Source:
    """What a user has on disk."""

    runtime = "podman"

    def __init__(self, owner_uid: int, place: str = "/home") -> None:
        self.owner_uid = owner_uid
        self.places: tuple[str, ...] = (place,)
        self.stored: list[Metadata] = []
        self.looked = 0

    def get(self, container_id: str) -> None:
        return None

    def all(self) -> Iterator[Metadata]:
        self.looked += 1
        yield from self.stored


class Made:
    """The sources that were made, in their order; the time that a test moves on."""

    def __init__(self, place: str = "/home/{}") -> None:
        self.now = 0.0
        self.place = place
        self.sources: list[Source] = []
        self.users = Users(self.make, lambda: self.now)
        self.names = Names([], self.make, clock=lambda: self.now)

    def make(self, uid: int) -> list[MetadataSource]:
        self.sources.append(Source(uid, self.place.format(uid)))
        return [self.sources[-1]]

    def after(self, seconds: float) -> list[int]:
        """Whose sources there are still."""
        self.now += seconds
        self.users.forget()
        return [source.owner_uid for source in self.users.all()]


def test_a_user_whose_containers_are_all_gone_is_forgotten_and_known_again_by_the_next_one() -> None:
    made = Made()
    made.users.sources(1000)
    made.users.sources(1001)
    assert made.after(IDLE_SECONDS / 2) == [1000, 1001]
    made.users.sources(1001)  # one of this user's has a cgroup
    assert made.after(IDLE_SECONDS / 2) == [1001]
    assert made.after(IDLE_SECONDS / 2) == []
    assert made.users.sources(1000) == [made.sources[2]] == made.users.all()


def test_a_user_without_a_home_is_asked_for_again() -> None:
    """The file that names it may have hung, or been another thread's turn: the user had no names any more."""
    found: list[MetadataSource] = []
    users = Users(lambda uid: list(found))
    assert users.sources(1000) == []
    found.append(Source(1000))
    assert users.sources(1000) == found == users.all()


def test_a_user_with_a_stopped_container_is_not_and_is_looked_at_once_in_a_while() -> None:
    made = Made()
    made.users.sources(1000)
    (source,) = made.sources
    source.stored = [Metadata("podman", "a" * 64, "mine", owner_uid=1000)]
    assert made.after(IDLE_SECONDS) == [1000]
    assert made.after(1) == made.after(1) == [1000] and source.looked == 1
    source.stored = []
    assert made.after(IDLE_SECONDS) == [] and source.looked == 2


def test_they_are_forgotten_as_it_is_looked_whether_a_source_knows_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    made = Made()
    made.names.sources(1000)
    made.names.generation()
    made.names.sources(1000)
    assert [each.owner_uid for each in made.sources] == [1000, 1000]


def test_places_of_thousands_of_users_are_looked_at_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them each second took a fifth of a core of an idle agent, and more of one that lists."""
    made, looked = Made(), list[str]()
    monkeypatch.setattr(made.names, "_stat", looked.append)
    users = range(1000, 1000 + 3 * LOOKED_AT + 7)
    for uid in (*users, *users):
        made.names.sources(uid)
    assert looked == [f"/home/{uid}" for uid in users], "each before it is asked for the first time"
    looked.clear()
    for seconds in range(1, 5):
        made.now = 2.0 * seconds
        made.names.generation()
        assert len(looked) <= LOOKED_AT * seconds
    assert sorted(looked) == [f"/home/{uid}" for uid in users]
    made.now += 2.0
    made.names.generation()
    assert looked[-1] in {f"/home/{uid}" for uid in users[:LOOKED_AT]}, "from the first on again"


def test_what_a_user_writes_after_the_first_look_is_news(tmp_path: Path) -> None:
    made = Made(str(tmp_path))
    made.names.sources(1000)
    first = made.names.generation()
    (tmp_path / "containers.json").touch()
    os.utime(tmp_path, (1, 1))
    made.now += 2.0
    assert made.names.generation() == first + 1


def test_users_come_and_go_in_two_threads() -> None:
    made = Made()

    def come(number: int) -> None:
        made.now += IDLE_SECONDS / 50
        made.users.sources(number % 100)

    def go(number: int) -> None:
        made.users.all()
        made.users.forget()

    side_by_side(come, go, go, times=3000)
