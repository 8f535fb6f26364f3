"""Names that change hands: the listing, and what a client's word leads to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cgroupfs import Cgroup, CgroupGone, Descriptors, detect
from cgstatd.host import identity, runtimes, state_changes
from cgstatd.host.discovery import CgroupRef, Discovery
from cgstatd.host.identity import Identity, Names
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.host.state_changes import StateWatch
from cgstatd.sampling import naming, one_container
from cgstatd.sampling.lookup import Ambiguous, NotFound
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.one_container import OneContainer
from cgstatd.sampling.pass_work import PassWork
from cgstatd.sampling.registry import Registry
from cgstatd.sampling.sampler import Pending, Sampler
from fakehost import FakeHost, container_id

A, B = container_id("a"), container_id("b")


class Followed:
    """A host whose state directories are followed."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        root = host.root()
        hierarchy = detect(root)
        self.names = Names(runtimes.system_sources(root), partial(runtimes.rootless_sources, root), root=root)
        discovery = Discovery(root, hierarchy, runtimes.match, follow=True)
        states = StateWatch(root, follow=True)
        self.listing = Registry(root, hierarchy, discovery, self.names, Descriptors(100), states=states)
        self.sampler = Sampler(root, hierarchy, self.listing, self.names)
        self.single = OneContainer(self.sampler)

    def shown(self) -> dict[str, str]:
        """Id -> name of everything that runs."""
        return {each.identity.id: each.identity.name for each in self.listing.containers()}

    def write(self, name: str, file: str = "config.v2.json", **changes: object) -> None:
        """Rewrite a state file as Docker does: a new one renamed over the old one."""
        path = self.host.path / f"var/lib/docker/containers/{container_id(name)}/{file}"
        content = json.loads(path.read_text()) | changes
        new = path.with_name(".new")
        new.write_text(json.dumps(content))
        os.chmod(new, 0o600)
        new.rename(path)

    def rename(self, name: str, to: str) -> None:
        """``docker rename``; ``name`` is the one that the container was made with."""
        self.write(name, Name=f"/{to}")

    def look_again(self) -> dict[str, str]:
        """The same; the next look at every name is due."""
        found = self.shown()
        for each in self.listing._containers.values():
            each.due_ns = 0
        return found

    def forget(self, container: str) -> None:
        """Its state is gone from the disk, its cgroup is not."""
        for file in (self.host.path / f"var/lib/docker/containers/{container}").iterdir():
            file.unlink()

    def metadata(self, name: str) -> Metadata:
        """What is known of one that runs."""
        found = next(each for each in self.listing.containers() if each.identity.id == container_id(name))
        assert found.identity.metadata is not None
        return found.identity.metadata

    def figures(self, wanted: str) -> ContainerStats:
        """What a client is answered."""
        found = self.single.read(self.single.find_to_read(wanted, 0.0))
        return self.single.second(found) if isinstance(found, Pending) else found


@pytest.fixture(params=["inotify", "no inotify"])
def followed(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Followed]:
    """Two containers, a and b."""
    if request.param == "no inotify":
        monkeypatch.setattr(state_changes, "MOST_WATCHES", 0)
        monkeypatch.setattr(state_changes, "_LOOK_NS", 0)
        monkeypatch.setattr(state_changes, "_HURRY_NS", 0)
    host = FakeHost(tmp_path)
    for name, limit in (("a", "1000000"), ("b", "2000000")):
        host.add(name, limit=limit)
    found = Followed(host)
    assert found.shown() == {A: "a", B: "b"}
    yield found
    found.sampler.close()


def test_a_rename_is_in_the_next_listing_and_is_news(followed: Followed) -> None:
    number = followed.listing.number
    assert not followed.listing.changed_since(number)
    followed.rename("a", "c")
    assert followed.shown() == {A: "c", B: "b"}
    assert followed.listing.changed_since(number)
    assert followed.single.find("c").id == A
    with pytest.raises(NotFound):
        followed.single.find("a")


def test_a_name_that_is_written_between_the_look_at_it_and_that_at_its_place_is_in_the_next_listing(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_LOOK_SECONDS", 0.0)
    new = followed.host.add("new")
    shutil.rmtree(followed.host.path / f"var/lib/docker/containers/{new}")
    identify = followed.names.identify

    def written_behind(ref: CgroupRef) -> Identity:
        found = identify(ref)
        if found.id == new:
            followed.host.on_disk("new", running=True)
        return found

    monkeypatch.setattr(followed.names, "identify", written_behind)
    assert followed.shown()[new] == new[:12]
    assert followed.shown()[new] == "new"


def test_names_that_are_swapped_are_right_at_once_and_nothing_has_two(followed: Followed) -> None:
    for name, to in (("a", "spare"), ("b", "a"), ("a", "b")):
        followed.rename(name, to)
        assert len(set(followed.shown().values())) == 2
    assert followed.shown() == {A: "b", B: "a"}
    assert followed.figures("a").memory_limit_bytes == 2_000_000
    assert followed.figures("b").memory_limit_bytes == 1_000_000


def test_a_name_that_is_renamed_away_and_given_again_leads_to_the_new_one(followed: Followed) -> None:
    followed.rename("a", "old")
    followed.host.add("new", limit="3000000")
    followed.rename("new", "a")
    assert followed.single.find("a").id == container_id("new")
    assert sorted(each.name for each in followed.single.known()) == ["a", "b", "old"]


def test_a_removed_name_that_is_given_again_leads_to_the_new_one_though_the_cgroup_is_there(followed: Followed) -> None:
    followed.host.remove("b", from_disk=True)
    followed.host.add("new", limit="3000000")
    followed.forget(A)
    followed.rename("new", "a")
    assert followed.single.find("a").id == container_id("new")
    assert [each.name for each in followed.single.known()].count("a") == 1


def test_a_stopped_container_that_was_removed_is_no_candidate(followed: Followed) -> None:
    followed.host.on_disk("stopped", limit=5_000_000)
    assert followed.single.find("stopped").id == container_id("stopped")
    followed.forget(container_id("stopped"))
    with pytest.raises(NotFound):
        followed.single.find("stopped")
    followed.rename("a", "stopped")
    assert followed.single.find("stopped").id == A


def test_a_stopped_container_that_is_removed_is_news(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the event of it alone: the list of stopped containers is believed for an hour, and no clock's turn comes."""
    monkeypatch.setattr(one_container, "_STOPPED_SECONDS", 3600.0)
    monkeypatch.setattr(one_container, "_NEW_SECONDS", 0.0)
    monkeypatch.setattr(one_container, "_COSTS", 0.0)
    monkeypatch.setattr(identity, "_LOOK_SECONDS", 3600.0)
    gone = followed.host.on_disk("gone")
    followed.single._stopped = (-1e9, [], 0)
    followed.names.generation()
    assert gone in [each.id for each in followed.single.known()]
    followed.listing.containers()
    assert not followed.listing.changed_since(followed.listing.number)
    shutil.rmtree(followed.host.path / f"var/lib/docker/containers/{gone}")
    if followed.listing._naming._states._by_watch:
        assert followed.listing.changed_since(followed.listing.number)
    followed.listing.containers()
    assert followed.single.outdated()
    assert gone not in [each.id for each in followed.single.known()] and not followed.single.outdated()


def test_removals_are_no_news_in_vain(followed: Followed) -> None:
    """Though they change no container that runs: each of them is told at once, however many there were."""
    if not followed.listing._naming._states._by_watch:
        pytest.skip("no event tells of them")
    for number in range(naming._VAIN + 5):
        followed.host.on_disk(f"gone{number}")
        shutil.rmtree(followed.host.path / f"var/lib/docker/containers/{container_id(f'gone{number}')}")
        assert followed.listing.changed_since(followed.listing.number)
        followed.listing.containers()


def test_two_stopped_containers_of_a_name_are_one_once_either_was_renamed(followed: Followed) -> None:
    for name in ("x", "y"):
        followed.host.on_disk(name, shown="same")
    with pytest.raises(Ambiguous):
        followed.single.find("same")
    followed.rename("x", "other")
    assert followed.single.find("same").id == container_id("y")


def test_a_rename_between_two_listings_of_one_pass_does_not_show_a_name_twice(followed: Followed) -> None:
    work = PassWork(followed.sampler, lambda: None, None)
    work.items.popleft()()
    for name, to in (("a", "spare"), ("b", "a"), ("a", "b")):
        followed.rename(name, to)
    followed.listing.containers()
    while work.items:
        work.items.popleft()()
    for _, pending in work.pending:
        work.second(pending)
    assert {each.identity.id: each.identity.name for each in work.stats} == {A: "a", B: "b"}


def test_state_files_that_say_nothing_new_are_news_more_and_more_seldom(followed: Followed) -> None:
    number = followed.listing.number
    for count in range(12):
        followed.write("a", Health=count)
        followed.listing.containers()
    assert followed.listing.number == number
    followed.write("a", Health="again")
    assert not followed.listing.changed_since(number)
    followed.rename("a", "c")
    assert followed.shown()[A] == "c"
    assert followed.listing._naming._quiet_until == 0 or not followed.listing._naming._vain


# -- a container that its engine is just starting


def docker_state(**more: object) -> dict[str, object]:
    return {"Running": False, "StartedAt": "2026-11-25T10:00:00Z", "ExitCode": 137, **more}


@pytest.mark.parametrize("restarting", [False, True])
def test_a_restarted_container_has_no_exit_code_and_its_new_start_later(followed: Followed, restarting: bool) -> None:
    followed.write("a", State=docker_state(Running=restarting, Restarting=restarting))
    found = followed.metadata("a")
    assert (found.state, found.exit_code, found.started_seconds) == (State.RUNNING, None, None)
    followed.write("a", State=docker_state(Running=True, StartedAt="2026-11-25T12:00:00Z"))
    found = followed.metadata("a")
    assert (found.state, found.exit_code, found.started_seconds) == (State.RUNNING, None, 1795608000.0)


def promised(followed: Followed, kernel: str) -> None:
    """The engine is just starting it; its limit is configured, and not set yet."""
    followed.write("a", State=docker_state())
    followed.write("a", "hostconfig.json", Memory=7_000_000)
    followed.host.set("a", "memory.max", f"{kernel}\n")


@pytest.mark.parametrize("kernel", ["max", "0"])
def test_the_configured_limit_counts_at_once_until_the_engine_says_it_runs(followed: Followed, kernel: str) -> None:
    promised(followed, kernel)
    assert followed.figures("a").memory_limit_bytes == 7_000_000
    followed.host.set("a", "memory.max", "6000000\n")  # docker update, or what runc has set by now
    assert followed.figures("a").memory_limit_bytes == 6_000_000
    followed.host.set("a", "memory.max", "max\n")
    followed.write("a", State=docker_state(Running=True))
    assert followed.figures("a").memory_limit_bytes == 4 << 30  # the kernel's word: there is no limit


def test_a_figure_that_waits_for_its_second_reading_keeps_the_promised_limit(followed: Followed) -> None:
    promised(followed, "max")
    first = followed.single.read(followed.single.find_to_read("a", 0.0))
    assert isinstance(first, Pending)
    followed.write("a", State=docker_state(Running=True))
    followed.listing.containers()
    assert followed.single.second(first).memory_limit_bytes == 7_000_000


# -- what a dead engine leaves behind


@pytest.mark.parametrize("known", [True, False])
def test_a_directory_without_a_process_is_a_container_if_its_engine_knows_it(followed: Followed, known: bool) -> None:
    made = followed.host.add("made")
    followed.host.set("made", "cgroup.procs", "")
    if known:
        assert followed.figures(made).identity.name == "made"
    else:
        followed.forget(made)
        with pytest.raises(NotFound):
            followed.figures(made)
    assert (made in [each.id for each in followed.single.known()]) is known


def test_what_is_missing_and_what_to_do_is_said_once(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("x", "y"):
        followed.forget(followed.host.add(name))
    for _ in range(3):
        followed.look_again()
    said = [record.message for record in caplog.records if "no state" in record.message]
    assert len(said) == 1 and "--docker-root" in said[0]


def test_one_that_ends_before_it_has_a_name_costs_no_other(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third look in vain asks whether it has a process."""
    followed.host.add("stays")
    ends = followed.host.add("ends")
    followed.forget(ends)

    def procs(_: Cgroup, limit: int = 64) -> list[int]:
        asked.append(limit)
        raise CgroupGone(ends)

    asked: list[int] = []
    monkeypatch.setattr(Cgroup, "procs", procs)
    for _ in range(3):
        assert container_id("stays") in followed.look_again()
    assert asked == [1]
