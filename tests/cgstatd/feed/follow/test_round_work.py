"""Who came, went and was killed, between two looks."""

from __future__ import annotations

import errno
import os
import select
import shutil
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Cgroup, CgroupGone, KeptReader, Vitals
from cgstatd.feed.follow import ends as module
from cgstatd.feed.follow import followed_container, runtime_records
from cgstatd.feed.follow import round_work as looks_module
from cgstatd.feed.follow.ends import Ends
from cgstatd.feed.follow.followed_container import UNSEEN, Followed, Watched
from cgstatd.feed.follow.round_work import RoundWork
from cgstatd.feed.follow.runtime_records import Records
from cgstatd.host.discovery import CgroupRef
from cgstatd.host.first_process import First
from cgstatd.host.identity import Names
from cgstatd.host.inotify import Inotify
from cgstatd.host.pidfd import Exit, Untold
from cgstatd.host.runtimes.base import RecordsEnds
from cgstatd.sampling.history_work import life_of
from cgstatd.sampling.round import Changes, Look
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, container_id, readings
from helpers import failing_close, open_descriptors, write_files


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
    host.config(name, State={"Running": False} | state)


class Found:
    """What one look found: the figures, and what happened."""

    def __init__(self, looks: list[Look], changes: Changes) -> None:
        self.looks = looks
        self.ended, self.started, self.killed = changes.ended, changes.started, changes.killed
        self.begun = changes.begun


class Watching:
    """Looks over a host, each with a pass before it."""

    def __init__(self, host: FakeHost) -> None:
        self.sampler: Sampler = host.sampler()
        self.looks = RoundWork(self.sampler)

    def look(self) -> Found:
        stats = {each.identity.id: each for _, each in readings(self.sampler) if each is not None}
        round_ = self.looks.take(stats)
        assert round_ is not None
        return Found(round_.looks, self.changes())

    def between(self, *, all_containers: bool = True) -> Changes:
        self.looks.between(all_containers=all_containers)
        return self.changes()

    def changes(self) -> Changes:
        return next(iter(self.looks.changes()), Changes())


def test_those_who_are_there_at_first_did_not_start(host: FakeHost) -> None:
    found = Watching(host).look()
    assert [look.stats.identity.name for look in found.looks] == ["web"]
    assert found.looks[0].vitals == Vitals(1, 0, 99)
    assert not found.started and not found.ended and not found.killed


def test_those_that_the_pass_has_not_read_are_late_and_those_that_it_found_gone_are_not(host: FakeHost) -> None:
    add(host, "db")
    watching = Watching(host)
    web, db = sorted(watching.sampler.containers(), key=lambda each: each.identity.name, reverse=True)
    stats = {each.identity.id: each for _, each in readings(watching.sampler) if each is not None}
    only = {web.identity.id: stats[web.identity.id]}
    for unread, late in ((frozenset({web, db}), [db]), (frozenset({web}), []), (None, [db])):
        round_ = watching.looks.take(only, unread)
        assert round_ is not None and [look.stats.identity.id for look in round_.looks] == [web.identity.id]
        assert round_.late == [each.identity.id for each in late]


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
    assert end.last is not None and end.last.stats.memory_usage_bytes == 3 << 20
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
    (before,) = watching.sampler.containers()
    host.recreate("web")
    found = watching.look()
    (after,) = watching.sampler.containers()
    assert [end.identity.name for end in found.ended] == ["web"]
    assert [identity.name for identity in found.started] == ["web"]
    assert [end.life for end in found.ended] == [life_of(before)] != found.begun == [life_of(after)]
    assert found.ended[0].noticed_seconds == pytest.approx(time.time(), abs=600)


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
    assert watching.between().killed == []
    kill(host, "web", 1, peak=77)
    assert [k.total for k in watching.between().killed] == [1]
    assert watching.between().killed == []
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


def test_closing_releases_every_descriptor(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    (container,) = watching.sampler.containers()
    used = container.descriptors.used
    watching.looks.close()
    assert container.descriptors.used == used - 3
    watching.looks.close()


def test_of_a_cgroup_that_is_gone_nothing_is_kept_open_and_a_new_reader_is_made_when_it_is_there(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watching(host)
    watching.look()
    (container,) = watching.sampler.containers()
    used, before = container.descriptors.used, len(open_descriptors())

    def gone(reader: KeptReader[Vitals]) -> Vitals:
        raise CgroupGone("/c")  # it left one of its trees

    with monkeypatch.context() as patch:
        patch.setattr(KeptReader, "read", gone)
        for _ in range(2):
            assert [look.vitals for look in watching.look().looks] == [Vitals(1, 0, 99)]  # the last that were read
            assert (container.descriptors.used, len(open_descriptors())) == (used - 3, before - 3)
    kill(host, "web", 1, peak=100)
    assert watching.look().looks[0].vitals == Vitals(1, 1, 100)
    assert (container.descriptors.used, len(open_descriptors())) == (used, before)
    watching.looks.close()
    watching.sampler.close()


def test_a_second_thread_does_without(host: FakeHost) -> None:
    watching = Watching(host)
    with watching.looks._turns.turn():
        assert watching.looks.take({}) is None
        assert watching.between().killed == []
        watching.looks.close()


def record(host: FakeHost, name: str, **state: object) -> None:
    """The engine writes the container's state: a new file is renamed over the old one."""
    count = {"RestartCount": state.pop("RestartCount")} if "RestartCount" in state else {}
    host.config(name, State=state, **count)


def now(seconds: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def restarting(host: FakeHost, name: str, code: int, *, oom: bool = False, count: int = 1) -> None:
    """Its life ended, and the engine waits before it starts the next one."""
    record(
        host,
        name,
        Running=True,
        Restarting=True,
        Pid=0,
        ExitCode=code,
        OOMKilled=oom,
        FinishedAt=now(),
        RestartCount=count,
    )


def restarted(host: FakeHost, name: str) -> None:
    """The next life's cgroup is there; the record is still that of the end before."""
    path = host.path / "var/lib/docker/containers" / container_id(name) / "config.v2.json"
    kept = path.read_bytes()
    host.recreate(name)
    kill(host, name, 0)
    path.write_bytes(kept)


def test_an_end_keeps_its_code_when_the_container_came_back_before_it_was_looked_at(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    restarting(host, "web", 3)
    restarted(host, "web")
    found = watching.look()
    assert [(end.exit_code, end.absent) for end in found.ended] == [(3, None)]
    (start,) = found.started
    assert start.metadata is not None
    assert (start.metadata.exit_code, start.metadata.started_seconds) == (None, None)  # those of the life before


def test_the_code_of_the_life_before_is_not_that_of_the_next(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    restarting(host, "web", 3)
    restarted(host, "web")
    watching.look()
    host.remove("web")  # the next life is over, and the record is still the one of the life before
    assert watching.look().ended == []
    record(host, "web", Restarting=False, Pid=999, StartedAt=now(), ExitCode=0)
    assert watching.look().ended == []
    restarting(host, "web", 4, count=2)
    found = watching.look()
    assert [(end.exit_code, end.metadata and end.metadata.restarts) for end in found.ended] == [(4, 2)]


def test_an_end_whose_record_was_overwritten_has_a_reason_instead_of_a_code(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    host.recreate("web")
    record(host, "web", StartedAt=now(), RestartCount=1)
    found = watching.look()
    assert [(end.exit_code, end.absent) for end in found.ended] == [(None, module.OVERWRITTEN)]
    (start,) = found.started
    assert start.metadata is not None and start.metadata.started_seconds is not None


def test_an_end_that_is_removed_from_disk_has_a_reason(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    host.remove("web", from_disk=True)
    assert [(end.exit_code, end.absent) for end in watching.look().ended] == [(None, module.UNKNOWN)]


def test_an_end_that_the_runtime_never_writes_has_a_reason(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(host)
    watching.look()
    host.remove("web")
    assert watching.look().ended == [] and watching.looks.waiting
    monkeypatch.setattr(module, "DYING_NS", 0)
    found = watching.between(all_containers=False)
    assert [(end.exit_code, end.absent) for end in found.ended] == [(None, module.NOT_WRITTEN)]
    assert not watching.looks.waiting


def test_an_end_that_is_held_back_is_told_between_the_rounds(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    host.remove("web")
    assert watching.look().ended == []
    ended(host, "web", ExitCode=7)
    assert [end.exit_code for end in watching.between(all_containers=False).ended] == [7]


@pytest.mark.parametrize("again", [False, True])
def test_every_end_by_the_oom_killer_is_told_as_one_first(host: FakeHost, again: bool) -> None:
    watching = Watching(host)
    watching.look()
    restarting(host, "web", 137, oom=True)
    if again:
        restarted(host, "web")
    else:
        host.remove("web")
    found = watching.look()
    assert [(end.oom_killed, end.killed and (end.killed.kills, end.killed.total)) for end in found.ended] == [
        (True, (None, None))
    ]
    assert found.killed == []


def test_a_kill_that_was_counted_is_not_told_again_at_the_end(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    kill(host, "web", 1)
    assert len(watching.between().killed) == 1
    restarting(host, "web", 137, oom=True)
    restarted(host, "web")
    found = watching.look()
    assert found.killed == [] and [(end.oom_killed, end.killed) for end in found.ended] == [(True, None)]
    kill(host, "web", 1)  # the next life's own
    assert [k.total for k in watching.look().killed] == [1]


def test_a_death_makes_the_record_be_read_when_it_is_written(host: FakeHost) -> None:
    """The end's record is there for a moment only, and gone again at the next round."""
    watching = Watching(host)
    watching.looks._records = Records(watching.sampler.root, watching.sampler.names)
    watching.looks._ends = Ends(watching.looks._records)
    watching.look()
    (container,) = watching.sampler.containers()
    read, write = os.pipe()  # stands for a pidfd that became readable
    os.close(write)
    watching.looks.died(container, read)
    watching.looks.between(all_containers=False)
    fd = watching.looks.records_fd
    assert fd is not None and select.select([fd], [], [], 0)[0] == []
    restarting(host, "web", 3)
    assert select.select([fd], [], [], 0)[0] == [fd]
    watching.looks.between(all_containers=False)
    assert select.select([fd], [], [], 0)[0] == []
    restarted(host, "web")
    record(host, "web", Restarting=False, Pid=1, StartedAt=now(), ExitCode=0)
    assert [end.exit_code for end in watching.look().ended] == [3]
    watching.looks.close()


def test_the_kernel_tells_the_code_where_the_runtime_cannot(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is removed as soon as it ends (``--rm``): its record was there for 8 ms."""
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Exit(5, None))
    watching = Watching(host)
    watching.look()
    (container,) = watching.sampler.containers()
    known = watching.looks._followed[container]
    assert known.life.pid is not None
    known.first = First(known.life.pid, False)
    read, write = os.pipe()
    os.close(write)
    watching.looks.died(container, read)
    host.remove("web", from_disk=True)
    assert [(end.exit_code, end.absent) for end in watching.look().ended] == [(5, None)]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(read)


def test_the_code_of_another_process_is_not_the_containers(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Exit(5, None))
    watching = Watching(host)
    watching.look()
    (container,) = watching.sampler.containers()
    watching.looks._followed[container].first = First(4711, False)
    read, write = os.pipe()
    os.close(write)
    watching.looks.died(container, read)
    host.remove("web", from_disk=True)
    assert [(end.exit_code, end.absent) for end in watching.look().ended] == [(None, module.UNKNOWN)]


def test_pidfds_of_a_round_that_nothing_came_of_go_with_the_next_or_are_closed(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that hung for longer than it was waited for is dropped when it is there."""
    before = len(open_descriptors())
    opened: list[int] = []

    def watch_first(root: object, container: object, told: object) -> Watched:
        opened.append(os.open("/dev/null", os.O_RDONLY))
        return Watched(First(7, False), opened[-1])

    monkeypatch.setattr(looks_module, "watch_first", watch_first)
    watching = Watching(host)
    watching.looks._live = True
    watching.look()  # dropped
    add(host, "db")
    watching.look()
    taken = watching.looks.pidfds()
    assert [(container.identity.name, fd) for container, fd in taken] == [("web", opened[0]), ("db", opened[1])]
    assert watching.looks.pidfds() == []
    for _, fd in taken:
        os.close(fd)
    add(host, "cache")
    watching.looks.between(all_containers=True)
    watching.look()
    assert len(opened) == 3
    watching.looks.close()
    watching.sampler.close()
    assert len(open_descriptors()) == before


def test_what_happened_goes_with_no_round_and_is_told_in_its_order(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that hung, or that failed on its way, is dropped."""
    watching = Watching(host)
    watching.look()
    add(host, "db")
    watching.looks.take({})  # dropped
    kill(host, "db", 1)
    watching.looks.between(all_containers=True)  # dropped
    ended(host, "web", ExitCode=3)
    host.remove("web")
    add(host, "cache")

    def fails(_looks: RoundWork) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(RoundWork, "_arm", fails)
        with pytest.raises(MemoryError):
            watching.looks.take({})
    watching.looks.take({})
    told = [
        [
            *(end.identity.name for end in each.ended),
            *(f"+{start.name}" for start in each.started),
            *(f"oom {kill.identity.name}" for kill in each.killed),
        ]
        for each in watching.looks.changes()
    ]
    assert told == [["+db"], ["oom db"], ["+cache"], ["web"]]
    assert watching.looks.changes() == []


def test_deaths_of_those_who_are_not_followed_leave_nothing_open(host: FakeHost) -> None:
    watching = Watching(host)
    (container,) = watching.sampler.containers()
    fds = [os.pipe() for _ in range(2)]
    watching.looks.died(container, fds[0][0])
    watching.looks.between(all_containers=False)
    watching.looks.died(container, fds[1][0])
    watching.looks.close()
    for read, write in fds:
        os.close(write)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(read)


def test_a_close_that_fails_is_made_once_and_costs_no_other(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(host)
    watching.look()
    (container,) = watching.sampler.containers()
    fds = []
    for _ in range(2):  # one is the container's that is kept for its exit code, one is still to be looked at
        fds.append(os.open("/dev/null", os.O_RDONLY))
        watching.looks.died(container, fds[-1])
        if len(fds) == 1:
            watching.looks._followed[container].first = First(7, False)
            watching.looks.between(all_containers=False)
    with monkeypatch.context() as patch:
        closed = failing_close(patch)
        watching.looks.close()
        watching.looks.close()
    assert sorted(fd for fd in closed if fd in fds) == fds and len(closed) == len(set(closed))
    watching.sampler.close()


def test_nothing_is_opened_before_an_end_is_near(host: FakeHost) -> None:
    """One is made with the agent, and another one whenever somebody begins to follow."""
    sampler = host.sampler()
    before = open_descriptors()
    RoundWork(sampler)
    assert open_descriptors() == before


def test_without_inotify_ends_are_looked_for(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Inotify:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(runtime_records, "Inotify", refused)
    watching = Watching(host)
    watching.looks._records = Records(watching.sampler.root, watching.sampler.names)
    watching.looks._ends = Ends(watching.looks._records)
    watching.look()
    (container,) = watching.sampler.containers()
    watching.looks._ends.expect(container, watching.looks._followed[container])
    restarting(host, "web", 3)
    watching.looks.between(all_containers=False)
    record(host, "web", Restarting=False, Pid=1, StartedAt=now(), ExitCode=0)
    host.recreate("web")
    assert [end.exit_code for end in watching.look().ended] == [3]


def test_looks_that_are_closed_while_a_thread_looks_are_released_by_that_thread(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(open_descriptors())
    watching = Watching(host)
    watching.look()
    original = RoundWork._compare

    def closing(looks: RoundWork, *given: Any) -> None:
        original(looks, *given)
        looks.close()  # the event loop's thread, while this one hangs

    with monkeypatch.context() as patch:
        patch.setattr(RoundWork, "_compare", closing)
        watching.look()
    watching.sampler.close()
    assert watching.looks.take({}) is None
    assert len(open_descriptors()) == before


def test_where_a_death_cannot_be_had_noticed_that_is_tried_less_and_less_often(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that cannot see the host's processes would read each container's list of them in every look."""
    now, tried = 10**15, list[int]()

    class Clock:
        monotonic_ns = staticmethod(lambda: now)
        time = staticmethod(time.time)

    def watch_first(root: object, container: object, told: object) -> Watched | str:
        tried.append(now)
        return Watched(First(7, False), os.open("/dev/null", os.O_RDONLY)) if len(tried) > 16 else UNSEEN

    monkeypatch.setattr(looks_module, "time", Clock)
    monkeypatch.setattr(looks_module, "watch_first", watch_first)
    watching = Watching(host)
    watching.looks._live = True
    for _ in range(400):
        watching.between(all_containers=True) if tried else watching.look()
        now += 100_000_000
    waits = [(after - before) / 1e9 for before, after in pairwise(tried)]
    assert waits == [0.1] * 7 + [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0][: len(waits) - 7] and len(waits) >= 13
    watching.looks.close()
    watching.sampler.close()


def test_limits_are_read_again_of_a_part_of_the_containers_in_one_round(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(39):
        host.add(f"c{number}")
    now = 10**15

    class Clock:
        monotonic_ns = staticmethod(lambda: now)
        time = staticmethod(time.time)

    monkeypatch.setattr(looks_module, "time", Clock)
    read = list[str]()
    refreshed = Cgroup.limits

    def limits(self: Cgroup) -> object:
        read.append(self.path)
        return refreshed(self)

    monkeypatch.setattr(Cgroup, "limits", limits)
    watching = Watching(host)
    watching.look()
    assert len(set(read)) == 40
    several = []
    for seconds in (16, 1, 1, 1, 1, 1, 30):
        now += seconds * 10**9
        read.clear()
        watching.look()
        several.append(len(read))
    assert several == [40, 0, 0, 0, 0, 0, 40], "all were read in one round, and are due in one"
    for container in watching.looks._followed:
        watching.looks._followed[container].limits_ns = 1  # due
    several = []
    for _ in range(4):
        now += 10**9
        read.clear()
        watching.look()
        several.append(len(read))
    assert several == [8 + 2 * 40 // 15] * 3 + [1]


def test_a_first_process_is_watched_only_while_there_are_descriptors_to_spare(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor that waits for an end may be the last one, which a connection needs."""
    monkeypatch.setattr(os, "pidfd_open", lambda pid: os.open("/dev/null", os.O_RDONLY))
    watching = Watching(host)
    watching.looks._live, watching.looks._ends = True, Ends(watching.looks._records, live=True)
    (web,) = watching.sampler.containers()
    descriptors, limit = web.descriptors, [10_000]
    monkeypatch.setattr(descriptors, "_now", lambda: limit[0])
    watching.look()
    kept = descriptors.used
    limit[0] = kept  # as when prlimit lowers that of the running agent
    add(host, "db")
    watching.look()
    ((_, fd),) = watching.looks.pidfds()
    assert descriptors.used == kept
    host.remove("db", from_disk=True)
    assert [end.absent for end in watching.look().ended] == [f"{module.UNKNOWN}; {followed_container.UNWATCHED}"]
    watching.looks.died(web, fd)
    watching.between(all_containers=False)
    watching.looks.close()
    watching.sampler.close()
    assert descriptors.used == 0


def dead(watching: Watching, first: First) -> None:
    """Its first process has died, and the pidfd says so."""
    (container,) = watching.sampler.containers()
    known = watching.looks._followed[container]
    read, write = os.pipe()
    os.close(write)
    known.watch(Watched(first, read))
    watching.looks.died(container, read)
    watching.between(all_containers=False)


def nameless(host: FakeHost) -> Watching:
    """A container of a runtime that keeps no state."""
    watching = Watching(host)
    watching.looks._ends = Ends(watching.looks._records, live=True)
    shutil.rmtree(host.path / "var/lib/docker/containers")
    watching.look()
    return watching


def test_a_record_that_no_runtime_has_is_looked_for_by_the_listing_alone_until_there_is_one(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    recorder = Names.recorder

    def noted(names: Names, ref: CgroupRef) -> RecordsEnds | None:
        looked.append(ref.match.id)
        return recorder(names, ref)

    monkeypatch.setattr(Names, "recorder", noted)
    kept = host.path / "var/lib/docker/containers"
    kept.rename(host.path / "elsewhere")
    watching = Watching(host)
    watching.look()
    looked.clear()
    for _ in range(20):
        watching.look()
    assert looked == []
    (host.path / "elsewhere").rename(kept)
    ended(host, "web", StartedAt=f"{datetime.now(UTC):%FT%TZ}")
    watching.sampler.names._looked = float("-inf")
    watching.look()
    (known,) = watching.looks._followed.values()
    assert known.recorder is not None


@pytest.mark.parametrize(
    ("word", "code", "signal"), [(Exit(3, None), 3, None), (Exit(139, 11), 139, 11), (Exit(137, None), 137, None)]
)
def test_the_kernel_tells_code_and_signal_where_the_runtime_keeps_no_state(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, word: Exit, code: int, signal: int | None
) -> None:
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: word)
    watching = nameless(host)
    dead(watching, First(101, True))
    host.remove("web")
    (end,) = watching.look().ended
    assert (end.exit_code, end.absent, end.signal, end.signal_absent) == (code, None, signal, None)


def test_one_whose_processes_have_ended_has_ended_though_its_cgroup_stays(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of containerd that is not deleted yet (``ctr run -d``), or what a dead engine left."""
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Exit(3, None))
    watching = nameless(host)
    dead(watching, First(101, True))
    assert watching.look().ended == [], "others live on"
    host.set("web", "cgroup.procs", "")
    (end,) = watching.look().ended
    assert (end.identity.id, end.exit_code) == (container_id("web"), 3)
    (container,) = watching.sampler.containers()
    assert container.over, "lists do not say that it runs"
    found = watching.look()
    assert not found.ended and not found.started
    host.set("web", "cgroup.procs", "101\n")
    found = watching.look()
    assert [each.id for each in found.started] == [container_id("web")] and not found.ended
    dead(watching, First(101, True))
    host.set("web", "cgroup.procs", "")
    assert len(watching.look().ended) == 1
    host.remove("web")
    found = watching.look()
    assert not found.ended and not found.started


def test_what_was_counted_stays_for_the_end_of_one_that_was_looked_at_while_its_cgroup_was_removed(
    host: FakeHost,
) -> None:
    """On v1 a cgroup leaves one tree after the other, and on v2 the files go before the directory."""
    watching = Watching(host)
    watching.look()
    kill(host, "web", 1)
    assert [each.total for each in watching.between().killed] == [1]
    for name in ("memory.events", "memory.peak"):
        (host.scope("web") / name).unlink()
    (container,) = watching.sampler.containers()
    container.forget_vitals()
    (look,) = watching.look().looks
    assert look.vitals == Vitals(1, None, None), "of one that lives, unknown is unknown"
    ended(host, "web", ExitCode=137)
    host.remove("web")
    (end,) = watching.look().ended
    assert end.last is not None and end.last.vitals == Vitals(1, 1, 99)


def test_an_oom_kill_is_told_before_the_end_of_one_whose_cgroup_stays(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy host: nothing was looked at between its death and the round that finds it empty."""
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Exit(137, 9))
    watching = nameless(host)
    dead(watching, First(101, True))
    kill(host, "web", 1)
    host.set("web", "cgroup.procs", "")
    found = watching.look()
    (end,) = found.ended
    assert end.oom_killed is True and end.killed is not None and end.killed.identity.id == container_id("web")
    assert not found.killed, "it goes with the end: kills of a look are told after its ends"
    host.set("web", "cgroup.procs", "101\n")
    found = watching.look()
    assert found.started and not found.killed, "the kill of the life before"
    kill(host, "web", 3)
    assert [(each.kills, each.total) for each in watching.look().killed] == [(2, 3)]


def test_one_whose_end_its_runtime_records_has_ended_when_its_cgroup_is_gone(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Exit(3, None))
    watching = Watching(host)
    watching.look()
    dead(watching, First(101, True))
    host.set("web", "cgroup.procs", "")
    assert watching.look().ended == []


def test_a_kernel_that_keeps_no_ends_is_the_reason_beside_the_runtimes(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Untold.NEVER)
    watching = nameless(host)
    dead(watching, First(101, True))
    host.remove("web")
    (end,) = watching.look().ended
    assert (end.exit_code, end.absent) == (None, f"{module.UNKNOWN}; {Untold.NEVER.value}")


def test_a_first_process_that_was_gone_before_the_agent_looked_is_the_reason(host: FakeHost) -> None:
    watching = nameless(host)
    host.remove("web")
    assert [end.absent for end in watching.look().ended] == [f"{module.UNKNOWN}; {UNSEEN}"]


def test_a_process_that_was_not_waited_for_is_waited_for(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    word: list[Exit | Untold] = [Untold.NOT_YET]
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: word[0])
    watching = nameless(host)
    dead(watching, First(101, True))
    host.remove("web")
    assert watching.look().ended == [] and watching.looks.waiting
    word[0] = Exit(4, None)
    assert [end.exit_code for end in watching.between(all_containers=False).ended] == [4]


def test_a_death_that_is_noticed_after_the_cgroup_is_gone_still_counts(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    word: list[Exit | Untold] = [Untold.NOT_YET]
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: word[0])
    watching = nameless(host)
    (container,) = watching.sampler.containers()
    read, write = os.pipe()
    os.close(write)
    watching.looks._followed[container].watch(Watched(First(101, True), read))
    host.remove("web")
    assert watching.look().ended == []
    watching.looks.died(container, read)
    word[0] = Exit(6, None)
    assert [end.exit_code for end in watching.between(all_containers=False).ended] == [6]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(read)


@pytest.mark.parametrize(("first", "told"), [(0, 3), (1, 1)])
def test_of_a_service_the_last_first_process_tells_unless_an_earlier_one_failed(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, first: int, told: int
) -> None:
    """ExecStartPre= exits with 0 and the service with 3; or the service with 1, and what it left is killed."""
    words: dict[int, Exit] = {}
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: words[fd])
    known = Followed(0.0, 0, service=True)
    for pid, code in ((5, first), (6, 3)):
        read, write = os.pipe()
        os.close(write)
        words[read] = Exit(code, None)
        known.watch(Watched(First(pid, False), read))
        known.died(read)
    assert known.kernels_word() == Exit(told, None)
    known.release()


@pytest.mark.parametrize("known_pid", [None, 5])
def test_a_process_that_only_prepared_a_container_does_not_tell_its_end(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, known_pid: int | None
) -> None:
    """runc's helper exits with 0 and leaves the container's own first process behind, which the agent may never see."""
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: Exit(0, None))
    watching = nameless(host)
    (container,) = watching.sampler.containers()
    watching.looks._followed[container].life.pid = known_pid
    dead(watching, First(5, False))
    host.remove("web")
    (end,) = watching.look().ended
    if known_pid == 5:
        assert end.exit_code == 0
    else:
        assert (end.exit_code, end.absent) == (None, f"{module.UNKNOWN}; {UNSEEN}")


def test_a_runtimes_137_alone_does_not_tell_a_signal(host: FakeHost) -> None:
    watching = Watching(host)
    watching.look()
    ended(host, "web", ExitCode=137, OOMKilled=False)
    host.remove("web")
    (end,) = watching.look().ended
    assert (end.exit_code, end.signal) == (137, None) and "137" in str(end.signal_absent)


def test_kills_before_the_agent_rests_are_no_news_and_one_at_the_death_is(host: FakeHost) -> None:
    kill(host, "web", 5)
    watching = Watching(host)
    (container,) = watching.sampler.containers()
    used = container.descriptors.used
    watching.looks.take({})
    watching.looks.rest()
    assert container.descriptors.used == used and watching.looks.changes() == []
    kill(host, "web", 6)
    dead(watching, First(101, True))
    host.remove("web", from_disk=True)
    assert [end.oom_killed for end in watching.look().ended] == [True]


def test_kills_that_another_reading_has_counted_are_told_once(host: FakeHost) -> None:
    kill(host, "web", 1)
    watching = Watching(host)
    watching.looks.take({})
    watching.looks.rest()
    (container,) = watching.sampler.containers()
    for total, kills in ((1, []), (3, [2]), (3, []), (2, []), (4, [1])):  # 2: of an earlier reading
        watching.looks.counted({life_of(container): total})
        assert [each.kills for each in watching.changes().killed] == kills
    kill(host, "web", 4)
    assert watching.between().killed == []


@pytest.mark.parametrize(("counted", "killed"), [(True, False), (False, None)])
def test_no_end_is_told_to_be_none_by_the_oom_killer_where_the_kills_were_not_counted_after_it(
    host: FakeHost, counted: bool, killed: bool | None
) -> None:
    """A runtime may remove the cgroup before it can be looked at: the last count is of before."""
    watching = nameless(host)
    watching.look()
    if counted:
        dead(watching, First(101, True))
    host.remove("web")
    (end,) = watching.look().ended
    assert end.oom_killed is killed


def test_a_program_is_begun_once_its_process_is_not_the_runtimes_own_or_its_runtime_says_so(host: FakeHost) -> None:
    root, known = host.sampler().root, Followed(0.0, 0)
    known.look_for_program(root)
    known.watch(Watched(First(77, True), -1))
    for name, begun in (("runc:[2:INIT]", False), ("sleep", True), ("runc:[2:INIT]", True)):
        write_files(str(host.path), {"proc/77/stat": f"77 ({name}) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 500 0"})
        known.look_for_program(root)
        assert known.begun is begun, name
    shutil.rmtree(host.path / "proc/77")
    known.program_seen = False
    known.look_for_program(root)  # it has ended: what it was is not known
    assert not known.begun
    known.life.started_seconds = 5.0
    assert known.begun
