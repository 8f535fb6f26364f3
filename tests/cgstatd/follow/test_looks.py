"""Who came, went and was killed, between two looks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgroupfs import Vitals
from cgstatd.follow import looks as module
from cgstatd.follow.looks import Looks
from cgstatd.follow.round import Round
from cgstatd.sample import ContainerStats
from cgstatd.sampler import Pending, Sampler
from fakehost import FakeHost, container_id


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """One container that counts its OOM kills."""
    host = FakeHost(tmp_path)
    add(host, "web")
    return host


def add(host: FakeHost, name: str, kills: int = 0) -> None:
    host.add(name)
    kill(host, name, kills)


def kill(host: FakeHost, name: str, kills: int, peak: int = 99) -> None:
    (host.scope(name) / "memory.events").write_text(f"oom 1\noom_kill {kills}\n")
    (host.scope(name) / "memory.peak").write_text(f"{peak}\n")


def ended(host: FakeHost, name: str, **state: object) -> None:
    """The container's end as Docker writes it."""
    path = host.path / "var/lib/docker/containers" / container_id(name) / "config.v2.json"
    config = json.loads(path.read_text())
    config["State"] |= {"Running": False} | state
    path.unlink()
    path.write_text(json.dumps(config))
    path.chmod(0o600)


class Watching:
    """Looks over a host, each with a pass before it."""

    def __init__(self, host: FakeHost) -> None:
        self.sampler: Sampler = host.sampler()
        self.looks = Looks(self.sampler)

    def look(self) -> Round:
        stats: dict[str, ContainerStats] = {}
        namespaces = self.sampler.namespaces()
        for watched in self.sampler.containers():
            found = self.sampler.read(watched, namespaces)
            if isinstance(found, Pending):
                found = self.sampler.second(found)
            if found is not None:
                stats[found.identity.id] = found
        round_ = self.looks.take(stats)
        assert round_ is not None
        return round_


def test_those_who_are_there_at_first_did_not_start(host: FakeHost) -> None:
    found = Watching(host).look()
    assert [look.stats.identity.name for look in found.looks] == ["web"]
    assert found.looks[0].vitals == Vitals(1, 0, 99)
    assert not found.started and not found.ended and not found.killed


def test_a_container_that_comes_starts(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    add(host, "db")
    assert [identity.name for identity in watching.look().started] == ["db"]
    assert watching.look().started == []


def test_a_container_that_goes_ends_with_its_last_figures_and_how_it_was(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    ended(host, "web", ExitCode=3, OOMKilled=False)
    host.remove("web")
    (end,) = watching.look().ended
    assert end.identity.name == "web"
    assert end.last is not None and end.last.stats.memory_raw_bytes == 3 << 20
    assert end.metadata is not None and (end.metadata.exit_code, end.metadata.oom_killed) == (3, False)


def test_an_end_waits_for_its_runtime_but_not_for_ever(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(host)
    watching.look()
    host.remove("web")  # the engine's file still says that it runs
    assert watching.look().ended == []
    monkeypatch.setattr(module, "DYING_NS", 0)
    assert [end.identity.name for end in watching.look().ended] == ["web"]
    assert watching.look().ended == []


def test_a_restart_is_an_end_and_a_start(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    host.recreate("web")
    found = watching.look()
    assert [end.identity.name for end in found.ended] == ["web"]
    assert [identity.name for identity in found.started] == ["web"]


def test_a_kill_is_told_once_with_how_many(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    kill(host, "web", 2, peak=64 << 20)
    (killed,) = watching.look().killed
    assert (killed.identity.name, killed.kills, killed.total) == ("web", 2, 2)
    assert killed.vitals.peak_bytes == 64 << 20
    assert watching.look().killed == []


def test_a_kill_is_seen_between_the_passes_and_the_peak_is_kept_for_the_end(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    assert watching.looks.killed() == []
    kill(host, "web", 1, peak=77)
    assert [k.total for k in watching.looks.killed()] == [1]
    assert watching.looks.killed() == []
    ended(host, "web", ExitCode=137, OOMKilled=True)
    host.remove("web")
    found = watching.look()
    assert found.killed == []  # it was told
    assert found.ended[0].last is not None and found.ended[0].last.vitals.peak_bytes == 77


def test_kills_before_somebody_follows_are_no_news_but_those_of_a_new_container_are(host: FakeHost) -> None:
    kill(host, "web", 5)
    watching = Watching(host)
    assert watching.look().killed == []
    add(host, "db", kills=1)
    assert [(k.identity.name, k.kills) for k in watching.look().killed] == [("db", 1)]


def test_a_kill_that_went_with_its_cgroup_is_told_by_the_runtime(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    ended(host, "web", ExitCode=137, OOMKilled=True)
    host.remove("web")
    found = watching.look()
    assert [(k.kills, k.total) for k in found.killed] == [(None, None)]
    assert [e.identity.name for e in found.ended] == ["web"]


def test_closing_releases_every_descriptor(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    (watched,) = watching.sampler.containers()
    used = watched.descriptors.used
    watching.looks.close()
    assert watched.descriptors.used == used - 3
    watching.looks.close()


def test_a_second_thread_does_without(host: FakeHost) -> None:
    watching = Watching(host)
    with watching.looks._busy:
        assert watching.looks.take({}) is None
        assert watching.looks.killed() == []
        watching.looks.close()
