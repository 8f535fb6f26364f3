"""Lives that were over before anybody could look: told once, by their records, and never invented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Descriptors, detect
from cgstatd.feed.follow import unseen_lives
from cgstatd.feed.follow.round_work import RoundWork
from cgstatd.feed.follow.unseen_lives import MOST_ENDS, MOST_WAITING, WAIT_SECONDS, UnseenLives
from cgstatd.host import runtimes
from cgstatd.host.discovery import CgroupRef, Discovery
from cgstatd.host.identity import Names
from cgstatd.host.runtimes.base import Match
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.registry import Registry
from cgstatd.sampling.round import Changes, Ended
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, container_id

NOON = 1_796_040_000.0
"""2026-11-30T12:00:00Z"""


def at(seconds: float) -> str:
    return f"2026-11-30T12:00:{seconds:06.3f}Z"


def written(host: FakeHost, name: str, **state: Any) -> None:
    """What the engine's state says of a container."""
    host.on_disk(name)
    host.config(name, State=state)


class World:
    """Lives over a made-up host, at a time that a test gives."""

    def __init__(self, host: FakeHost) -> None:
        self.now = NOON
        root = host.root()
        self.lives = UnseenLives(Names(runtimes.system_sources(root), lambda _: [], root=root), lambda: self.now)

    def came(self, name: str) -> None:
        key = container_id(name)
        self.lives.came_and_went([CgroupRef(f"/docker/{key}", Match("docker", key), (), 0, 0)])

    def look(self, *held_back: str) -> list[str]:
        return told(self.lives.look({container_id(each) for each in held_back}))


def told(several: list[Changes]) -> list[str]:
    found = []
    for each in several:
        for end in each.ended:
            found += ["oom"] * (end.killed is not None)
            found.append(f"exit {end.exit_code} {end.identity.name}")
        found += [f"start {each.name}" for each in each.started]
        assert not each.killed and len(each.started) == len(each.begun)
    return found


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.fixture
def world(host: FakeHost) -> World:
    return World(host)


def test_a_record_that_is_written_later_is_told_once(world: World, host: FakeHost) -> None:
    world.came("job")
    assert (world.lives.waiting, world.look()) == (True, [])
    written(host, "job", Running=True, Pid=7, StartedAt=at(1))
    world.now += 2
    assert world.look() == []
    written(host, "job", ExitCode=3, StartedAt=at(1), FinishedAt=at(1.5))
    assert world.look() == ["start job", "exit 3 job"]
    assert not world.lives.waiting and world.look() == []


def test_one_that_was_killed_for_want_of_memory_was_killed_first(world: World, host: FakeHost) -> None:
    world.came("job")
    killed = {"ExitCode": 137, "OOMKilled": True, "StartedAt": at(0), "FinishedAt": at(0.1)}
    written(host, "job", Restarting=True, Running=True, **killed)
    (start, end) = world.lives.look(())
    assert told([start, end]) == ["start job", "oom", "exit 137 job"]
    began, ended = start.started[0].metadata, end.ended[0].metadata
    assert began is not None and (began.finished_seconds, began.exit_code) == (None, None)
    assert ended is not None and ended.finished_seconds == NOON + 0.1
    assert start.begun == [end.ended[0].life] == [Life(0, "docker", container_id("job"), 0)]


@pytest.mark.parametrize(
    "state",
    [
        {"ExitCode": 127, "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"},  # no such program
        {"ExitCode": 3, "StartedAt": "2026-11-30T11:00:00Z", "FinishedAt": "2026-11-30T11:00:01Z"},  # of a run before
        {"Running": True, "Pid": 5, "StartedAt": at(1), "FinishedAt": at(0.5)},  # its code is lost
        None,
    ],
)
def test_what_is_no_record_of_a_new_end_is_none(world: World, host: FakeHost, state: dict[str, Any] | None) -> None:
    if state is not None:
        written(host, "job", **state)
    world.came("job")
    assert world.look() == []
    world.now += WAIT_SECONDS + 1
    assert world.look() == [] and not world.lives.waiting


def test_the_record_of_a_life_that_was_seen_is_not_told_again(world: World, host: FakeHost) -> None:
    """On v1 the trees' events of one cgroup come one after the other, some once it is gone."""
    written(host, "web", ExitCode=1, StartedAt=at(1), FinishedAt=at(2))
    world.came("web")
    world.now += 3
    assert world.look("web") == [], "its end is held back"
    life = Life(0, "docker", container_id("web"), 7)
    identity = world.lives._names.identify(CgroupRef("/docker/x", Match("docker", life.id), (), 0, 0))
    world.lives.told([Ended(identity, None, None, None, "", None, None, None, None, None, life, NOON + 2.05)])
    assert world.look() == [] and world.lives.waiting
    written(host, "web", ExitCode=2, StartedAt=at(2.2), FinishedAt=at(2.3))  # the next life: nobody saw it
    assert world.look() == ["start web", "exit 2 web"]


def test_what_is_remembered_is_bounded(world: World) -> None:
    for number in range(MOST_WAITING + 10):
        world.came(f"{number}")
    assert len(world.lives._waiting) == MOST_WAITING
    for number in range(MOST_ENDS + 10):
        world.lives._remember(f"{number}", NOON)
    assert len(world.lives._ends) == MOST_ENDS


@pytest.fixture
def sampler(host: FakeHost) -> Iterator[Sampler]:
    """One that inotify tells of its containers."""
    root = host.root()
    hierarchy, names = detect(root), Names(runtimes.system_sources(root), lambda _: [], root=root)
    discovery = Discovery(root, hierarchy, runtimes.match, follow=True)
    found = Sampler(root, hierarchy, Registry(root, hierarchy, discovery, names, Descriptors(100)), names)
    yield found
    found.close()


@pytest.fixture
def looks(host: FakeHost, sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> Iterator[RoundWork]:
    """One container was seen."""
    monkeypatch.setattr(unseen_lives, "_BEFORE_SECONDS", 1e9)  # the records have a time of their own
    host.add("web")
    found = RoundWork(sampler)
    found.take({})
    yield found
    found.close()


def test_the_watch_tells_lives_that_no_listing_has_seen(host: FakeHost, sampler: Sampler, looks: RoundWork) -> None:
    came = []
    sampler.registry.came_or_went = lambda: came.append(True)
    host.add("short")
    host.remove("short")
    sampler.containers()  # another request's
    assert came == [True]
    written(host, "short", ExitCode=3, StartedAt=at(1), FinishedAt=at(1.5))
    looks.take({})
    assert (told(looks.changes()), looks.waiting) == (["start short", "exit 3 short"], False)
    host.add("late")
    host.remove("late")
    looks.take({})
    assert (looks.changes(), looks.waiting) == ([], True)
    written(host, "late", ExitCode=4, StartedAt=at(2), FinishedAt=at(2.5))
    looks.between(all_containers=False)
    assert told(looks.changes()) == ["start late", "exit 4 late"] and not looks.waiting


def test_the_record_of_a_life_whose_cgroup_is_there_is_its(host: FakeHost, sampler: Sampler, looks: RoundWork) -> None:
    """A restart within one look: the directory was made twice, and the second life was seen."""
    (web,) = sampler.containers()
    looks._unseen.came_and_went([CgroupRef("/elsewhere", web.ref.match, (), 0, 0)])
    times = {"StartedAt": "2026-11-25T10:56:40.719158146Z", "FinishedAt": "2026-11-25T10:56:41Z"}
    written(host, "web", ExitCode=5, **times)
    looks.between(all_containers=False)
    assert looks.changes() == [] and looks.waiting
    host.remove("web")
    looks.take({})
    assert told(looks.changes()) == ["exit 5 web"] and looks.waiting
