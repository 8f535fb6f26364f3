"""Who came, went and was killed, between two looks."""

from __future__ import annotations

import errno
import os
import shutil
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
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
from cgstatd.sampling.container import Container
from cgstatd.sampling.history_work import life_of
from cgstatd.sampling.round import Changes, Look
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, container_id, readings
from forked import has_news
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


def record(host: FakeHost, name: str, **state: object) -> None:
    """The engine writes the container's state: a new file is renamed over the old one."""
    count = {"RestartCount": state.pop("RestartCount")} if "RestartCount" in state else {}
    host.config(name, State=state, **count)


def now(seconds: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def restarting(host: FakeHost, name: str, code: int, *, oom: bool = False, count: int = 1) -> None:
    """Its life ended, and the engine waits before it starts the next one."""
    state: dict[str, object] = {"Running": True, "Restarting": True, "Pid": 0, "ExitCode": code, "OOMKilled": oom}
    record(host, name, FinishedAt=now(), RestartCount=count, **state)


def restarted(host: FakeHost, name: str) -> None:
    """The next life's cgroup is there; the record is still that of the end before."""
    path = host.path / "var/lib/docker/containers" / container_id(name) / "config.v2.json"
    kept = path.read_bytes()
    host.recreate(name)
    kill(host, name, 0)
    path.write_bytes(kept)


def readable() -> int:
    """A descriptor that is readable, as the pidfd of a process that has died."""
    read, write = os.pipe()
    os.close(write)
    return read


def is_closed(fd: int) -> bool:
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    return True


class Found:
    """What one look found: the figures, and what happened."""

    def __init__(self, looks: list[Look], changes: Changes) -> None:
        self.looks = looks
        self.ended, self.started, self.killed = changes.ended, changes.started, changes.killed
        self.begun = changes.begun
        self.ends = [(end.exit_code, end.absent) for end in changes.ended]
        self.nothing = not (self.ended or self.started or self.killed)


class Watching:
    """Looks over a host, each with a pass before it."""

    def __init__(self, host: FakeHost, *, live_ends: bool = False, live: bool = False) -> None:
        """``live_ends``: the kernel may tell the ends. ``live``: first processes are watched, too."""
        self.host = host
        self.sampler: Sampler = host.sampler()
        self.looks = RoundWork(self.sampler)
        if live_ends or live:
            self.looks._ends = Ends(self.looks._records, live=True)
        self.looks._live = live

    @property
    def web(self) -> Container:
        (container,) = self.sampler.containers()
        return container

    @property
    def known(self) -> Followed:
        return self.looks._followed[self.web]

    def look(self) -> Found:
        stats = {each.identity.id: each for _, each in readings(self.sampler) if each is not None}
        round_ = self.looks.take(stats)
        assert round_ is not None
        return Found(round_.looks, self.changes())

    def between(self, *, all_containers: bool = True) -> Found:
        self.looks.between(all_containers=all_containers)
        return Found([], self.changes())

    def changes(self) -> Changes:
        return next(iter(self.looks.changes()), Changes())

    def dead(self, first: First) -> int:
        """Its first process has died, and the pidfd says so."""
        fd = readable()
        self.known.watch(Watched(first, fd))
        self.looks.died(self.web, fd)
        self.between(all_containers=False)
        return fd

    def own_records(self) -> None:
        """Of a host that is not live, whose records are followed nevertheless."""
        self.looks._records = Records(self.sampler.root, self.sampler.names)
        self.looks._ends = Ends(self.looks._records)

    def close(self) -> None:
        self.looks.close()
        self.sampler.close()


@pytest.fixture
def watching(host: FakeHost) -> Watching:
    """The first look was made."""
    found = Watching(host)
    found.look()
    return found


@pytest.fixture
def nameless(host: FakeHost) -> Watching:
    """The same, of a container whose runtime keeps no state."""
    found = Watching(host, live_ends=True)
    shutil.rmtree(host.path / "var/lib/docker/containers")
    found.look()
    return found


Words = list[Exit | Untold]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Words:
    """What the kernel says of an end: the last of these."""
    said: Words = []
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: said[-1])
    return said


# -- who came, went and was killed


def test_those_who_are_there_at_first_did_not_start(host: FakeHost) -> None:
    kill(host, "web", 5)
    found = Watching(host).look()
    assert [look.stats.identity.name for look in found.looks] == ["web"]
    assert found.looks[0].vitals == Vitals(1, 5, 99)
    assert found.nothing, "nor are kills before somebody follows news"


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


def test_a_container_that_comes_starts_and_all_of_its_kills_are_news(host: FakeHost, watching: Watching) -> None:
    add(host, "db", kills=1)
    found = watching.look()
    assert [identity.name for identity in found.started] == ["db"]
    assert [(k.identity.name, k.kills) for k in found.killed] == [("db", 1)]
    assert watching.look().nothing


def test_a_container_that_goes_ends_with_its_last_figures_and_how_it_was(host: FakeHost, watching: Watching) -> None:
    ended(host, "web", ExitCode=137, OOMKilled=False)
    host.remove("web")
    (end,) = watching.look().ended
    assert end.identity.name == "web"
    assert end.last is not None and end.last.stats.memory_usage_bytes == 3 << 20
    assert end.metadata is not None and (end.metadata.exit_code, end.metadata.oom_killed) == (137, False)
    assert (end.exit_code, end.signal) == (137, None) and "137" in str(end.signal_absent), "that alone tells no signal"


@pytest.mark.parametrize("written", [True, False])
def test_an_end_waits_for_its_runtime(
    host: FakeHost, watching: Watching, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    host.remove("web")  # the engine's file still says that it runs
    assert watching.look().ended == []
    if written:
        ended(host, "web", ExitCode=7)
    else:  # not for ever
        monkeypatch.setattr(module, "DYING_NS", 0)
    assert watching.between(all_containers=False).ends == [(7, None) if written else (None, module.NOT_WRITTEN)]
    assert watching.look().nothing
    assert not watching.looks.waiting


def test_a_restart_is_an_end_and_a_start(host: FakeHost, watching: Watching) -> None:
    before = watching.web
    host.recreate("web")
    found = watching.look()
    assert [end.identity.name for end in found.ended] == ["web"]
    assert [identity.name for identity in found.started] == ["web"]
    assert [end.life for end in found.ended] == [life_of(before)] != found.begun == [life_of(watching.web)]
    assert found.ended[0].noticed_seconds == pytest.approx(time.time(), abs=600)


def test_a_kill_is_told_once_with_how_many_and_the_peak_is_kept_for_the_end(host: FakeHost, watching: Watching) -> None:
    assert watching.between().nothing
    kill(host, "web", 2, peak=64 << 20)
    (killed,) = watching.look().killed
    assert (killed.identity.name, killed.kills, killed.total) == ("web", 2, 2)
    assert killed.vitals.peak_bytes == 64 << 20
    assert watching.look().killed == []
    kill(host, "web", 3, peak=77)
    assert [k.total for k in watching.between().killed] == [3]
    assert watching.between().killed == []
    ended(host, "web", ExitCode=137, OOMKilled=True)
    host.remove("web")
    found = watching.look()
    assert found.killed == []  # it was told
    assert found.ended[0].last is not None and found.ended[0].last.vitals.peak_bytes == 77


def test_of_a_cgroup_that_is_gone_nothing_is_kept_open_and_a_new_reader_is_made_when_it_is_there(
    host: FakeHost, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors = watching.web.descriptors
    used, before = descriptors.used, len(open_descriptors())

    def gone(reader: KeptReader[Vitals]) -> Vitals:
        raise CgroupGone("/c")  # it left one of its trees

    with monkeypatch.context() as patch:
        patch.setattr(KeptReader, "read", gone)
        for _ in range(2):
            assert [look.vitals for look in watching.look().looks] == [Vitals(1, 0, 99)]  # the last that were read
            assert (descriptors.used, len(open_descriptors())) == (used - 3, before - 3)
    kill(host, "web", 1, peak=100)
    assert watching.look().looks[0].vitals == Vitals(1, 1, 100)
    assert (descriptors.used, len(open_descriptors())) == (used, before)
    watching.looks.close()
    watching.looks.close()
    assert descriptors.used == used - 3
    watching.sampler.close()


def test_a_second_thread_does_without(watching: Watching) -> None:
    with watching.looks._turns.turn():
        assert watching.looks.take({}) is None
        assert watching.between().nothing
        watching.looks.close()


# -- which record tells an end


def test_an_end_keeps_its_code_and_the_next_life_does_not_get_it(host: FakeHost, watching: Watching) -> None:
    restarting(host, "web", 3)
    restarted(host, "web")  # before it was looked at
    found = watching.look()
    assert found.ends == [(3, None)]
    (start,) = found.started
    assert start.metadata is not None
    assert (start.metadata.exit_code, start.metadata.started_seconds) == (None, None)  # those of the life before
    host.remove("web")  # the next life is over, and the record is still the one of the life before
    assert watching.look().ended == []
    record(host, "web", Restarting=False, Pid=999, StartedAt=now(), ExitCode=0)
    assert watching.look().ended == []
    restarting(host, "web", 4, count=2)
    found = watching.look()
    assert [(end.exit_code, end.metadata and end.metadata.restarts) for end in found.ended] == [(4, 2)]


def test_an_end_whose_record_was_overwritten_has_a_reason_instead_of_a_code(host: FakeHost, watching: Watching) -> None:
    host.recreate("web")
    record(host, "web", StartedAt=now(), RestartCount=1)
    found = watching.look()
    assert found.ends == [(None, module.OVERWRITTEN)]
    (start,) = found.started
    assert start.metadata is not None and start.metadata.started_seconds is not None


def test_an_end_that_is_removed_from_disk_has_a_reason(host: FakeHost, watching: Watching) -> None:
    host.remove("web", from_disk=True)
    assert watching.look().ends == [(None, module.UNKNOWN)]


@pytest.mark.parametrize("again", [False, True])
def test_every_end_by_the_oom_killer_is_told_as_one_first(host: FakeHost, watching: Watching, again: bool) -> None:
    restarting(host, "web", 137, oom=True)
    if again:
        restarted(host, "web")
    else:
        host.remove("web")
    found = watching.look()
    (end,) = found.ended
    assert end.oom_killed and end.killed is not None and (end.killed.kills, end.killed.total) == (None, None)
    assert found.killed == []


def test_a_kill_that_was_counted_is_not_told_again_at_the_end(host: FakeHost, watching: Watching) -> None:
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
    watching.own_records()
    watching.look()
    watching.looks.died(watching.web, readable())
    watching.between(all_containers=False)
    fd = watching.looks.records_fd
    assert fd is not None and not has_news(fd, 0)
    restarting(host, "web", 3)
    assert has_news(fd, 0)
    watching.between(all_containers=False)
    assert not has_news(fd, 0)
    restarted(host, "web")
    record(host, "web", Restarting=False, Pid=1, StartedAt=now(), ExitCode=0)
    assert watching.look().ends == [(3, None)]
    watching.looks.close()


def test_without_inotify_ends_are_looked_for(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Inotify:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(runtime_records, "Inotify", refused)
    watching = Watching(host)
    watching.own_records()
    watching.look()
    watching.looks._ends.expect(watching.web, watching.known)
    restarting(host, "web", 3)
    watching.between(all_containers=False)
    record(host, "web", Restarting=False, Pid=1, StartedAt=now(), ExitCode=0)
    host.recreate("web")
    assert watching.look().ends == [(3, None)]


@pytest.mark.parametrize(
    ("pid", "end"),
    [
        pytest.param(None, (5, None), id="removed as soon as it ends (--rm): its record was there for 8 ms"),
        pytest.param(4711, (None, module.UNKNOWN), id="the code of another process is not the container's"),
    ],
)
def test_the_kernel_tells_the_code_where_the_runtime_cannot(
    host: FakeHost, watching: Watching, words: Words, pid: int | None, end: tuple[int | None, str | None]
) -> None:
    words.append(Exit(5, None))
    assert watching.known.life.pid is not None
    watching.known.first = First(pid or watching.known.life.pid, False)
    fd = readable()
    watching.looks.died(watching.web, fd)
    host.remove("web", from_disk=True)
    assert watching.look().ends == [end] and is_closed(fd)


# -- rounds that nothing comes of, and what is open


def test_pidfds_of_a_round_that_is_dropped_go_with_the_next(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that hung for longer than it was waited for is dropped when it is there."""
    before = len(open_descriptors())
    opened: list[int] = []

    def watch_first(root: object, container: object, told: object) -> Watched:
        opened.append(os.open("/dev/null", os.O_RDONLY))
        return Watched(First(7, False), opened[-1])

    monkeypatch.setattr(looks_module, "watch_first", watch_first)
    watching = Watching(host, live=True)
    watching.look()  # dropped
    add(host, "db")
    watching.look()
    taken = watching.looks.pidfds()
    assert [(container.identity.name, fd) for container, fd in taken] == [("web", opened[0]), ("db", opened[1])]
    assert watching.looks.pidfds() == []
    for _, fd in taken:
        os.close(fd)
    add(host, "cache")
    watching.between()
    watching.look()
    assert len(opened) == 3
    watching.close()
    assert len(open_descriptors()) == before


def test_what_happened_is_told_in_order(host: FakeHost, watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that hung, or that failed on its way, is dropped."""
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
    fds = [readable() for _ in range(2)]
    watching.looks.died(watching.web, fds[0])
    watching.between(all_containers=False)
    watching.looks.died(watching.web, fds[1])
    watching.looks.close()
    assert all(map(is_closed, fds))


def test_a_close_that_fails_is_made_once_costs_no_other(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    fds = []
    for _ in range(2):  # one is the container's that is kept for its exit code, one is still to be looked at
        fds.append(os.open("/dev/null", os.O_RDONLY))
        watching.looks.died(watching.web, fds[-1])
        if len(fds) == 1:
            watching.known.first = First(7, False)
            watching.between(all_containers=False)
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


def test_looks_closed_while_a_thread_looks_are_released_by_it(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
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


Clock = list[int]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The nanoseconds that a test moves."""
    found = [10**15]
    monkeypatch.setattr(looks_module, "time", SimpleNamespace(monotonic_ns=lambda: found[0], time=time.time))
    return found


def test_where_a_death_cannot_be_had_noticed_that_is_tried_less_and_less_often(
    host: FakeHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that cannot see the host's processes would read each container's list of them in every look."""
    tried = list[int]()

    def watch_first(root: object, container: object, told: object) -> Watched | str:
        tried.append(clock[0])
        return Watched(First(7, False), os.open("/dev/null", os.O_RDONLY)) if len(tried) > 16 else UNSEEN

    monkeypatch.setattr(looks_module, "watch_first", watch_first)
    watching = Watching(host, live=True)
    for _ in range(400):
        watching.between() if tried else watching.look()
        clock[0] += 100_000_000
    waits = [(after - before) / 1e9 for before, after in pairwise(tried)]
    assert waits == [0.1] * 7 + [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0][: len(waits) - 7] and len(waits) >= 13
    watching.close()


def test_limits_are_read_of_a_part_in_one_round(host: FakeHost, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(39):
        host.add(f"c{number}")
    read, limits = list[str](), Cgroup.limits

    def noted(self: Cgroup) -> object:
        read.append(self.path)
        return limits(self)

    monkeypatch.setattr(Cgroup, "limits", noted)
    watching = Watching(host)

    def after(seconds: int) -> int:
        """How many are read in a look so much later."""
        clock[0] += seconds * 10**9
        read.clear()
        watching.look()
        return len(set(read))

    assert [after(seconds) for seconds in (0, 16, 1, 1, 1, 1, 1, 30)] == [40, 40, 0, 0, 0, 0, 0, 40], (
        "all were read in one round, and are due in one"
    )
    for container in watching.looks._followed:
        watching.looks._followed[container].limits_ns = 1  # due
    assert [after(1) for _ in range(4)] == [8 + 2 * 40 // 15] * 3 + [1]


def test_a_first_process_is_watched_while_descriptors_are_left(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor that waits for an end may be the last one, which a connection needs."""
    monkeypatch.setattr(os, "pidfd_open", lambda pid: os.open("/dev/null", os.O_RDONLY))
    watching = Watching(host, live=True)
    web, limit = watching.web, [10_000]
    descriptors = web.descriptors
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
    watching.close()
    assert descriptors.used == 0


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


# -- the kernel's word


@pytest.mark.parametrize("word", [Exit(3, None), Exit(139, 11), Exit(137, None), Untold.NEVER, None], ids=str)
def test_the_kernel_tells_code_and_signal_where_the_runtime_keeps_no_state_or_it_is_the_reason(
    host: FakeHost, nameless: Watching, words: Words, word: Exit | Untold | None
) -> None:
    if word is not None:
        words.append(word)
        nameless.dead(First(101, True))
    host.remove("web")
    (end,) = nameless.look().ended
    if isinstance(word, Exit):
        assert (end.exit_code, end.absent, end.signal, end.signal_absent) == (word.code, None, word.signal, None)
    else:  # None: it was gone before the agent looked
        assert (end.exit_code, end.absent) == (None, f"{module.UNKNOWN}; {UNSEEN if word is None else word.value}")


def test_one_without_processes_has_ended(host: FakeHost, nameless: Watching, words: Words) -> None:
    """A task of containerd that is not deleted yet (``ctr run -d``), or what a dead engine left."""
    words.append(Exit(3, None))
    nameless.dead(First(101, True))
    assert nameless.look().ended == [], "others live on"
    host.set("web", "cgroup.procs", "")
    (end,) = nameless.look().ended
    assert (end.identity.id, end.exit_code) == (container_id("web"), 3)
    assert nameless.web.over, "lists do not say that it runs"
    assert nameless.look().nothing
    host.set("web", "cgroup.procs", "101\n")
    found = nameless.look()
    assert [each.id for each in found.started] == [container_id("web")] and not found.ended
    nameless.dead(First(101, True))
    host.set("web", "cgroup.procs", "")
    assert len(nameless.look().ended) == 1
    host.remove("web")
    assert nameless.look().nothing


def test_one_whose_end_is_recorded_ends_with_its_cgroup(host: FakeHost, watching: Watching, words: Words) -> None:
    words.append(Exit(3, None))
    watching.dead(First(101, True))
    host.set("web", "cgroup.procs", "")
    assert watching.look().ended == []


def test_an_oom_kill_comes_before_an_end_whose_cgroup_stays(host: FakeHost, nameless: Watching, words: Words) -> None:
    """A busy host: nothing was looked at between its death and the round that finds it empty."""
    words.append(Exit(137, 9))
    nameless.dead(First(101, True))
    kill(host, "web", 1)
    host.set("web", "cgroup.procs", "")
    found = nameless.look()
    (end,) = found.ended
    assert end.oom_killed is True and end.killed is not None and end.killed.identity.id == container_id("web")
    assert not found.killed, "it goes with the end: kills of a look are told after its ends"
    host.set("web", "cgroup.procs", "101\n")
    found = nameless.look()
    assert found.started and not found.killed, "the kill of the life before"
    kill(host, "web", 3)
    assert [(each.kills, each.total) for each in nameless.look().killed] == [(2, 3)]


@pytest.mark.parametrize("noticed", ["before the cgroup is gone", "after it"])
def test_one_that_is_not_reaped_is_waited_for(host: FakeHost, nameless: Watching, words: Words, noticed: str) -> None:
    words.append(Untold.NOT_YET)
    if late := noticed == "after it":
        fd = readable()
        nameless.known.watch(Watched(First(101, True), fd))
    else:
        fd = nameless.dead(First(101, True))
    web = nameless.web
    host.remove("web")
    assert nameless.look().ended == [] and nameless.looks.waiting
    if late:
        nameless.looks.died(web, fd)
    words.append(Exit(4, None))
    assert nameless.between(all_containers=False).ends == [(4, None)] and is_closed(fd)


@pytest.mark.parametrize(("first", "told"), [(0, 3), (1, 1)])
def test_of_a_service_the_last_or_a_failed_one_tells(monkeypatch: pytest.MonkeyPatch, first: int, told: int) -> None:
    """ExecStartPre= exits with 0 and the service with 3; or the service with 1, and what it left is killed."""
    said: dict[int, Exit] = {}
    monkeypatch.setattr(followed_container, "how_ended", lambda fd: said[fd])
    known = Followed(0.0, 0, service=True)
    for pid, code in ((5, first), (6, 3)):
        fd = readable()
        said[fd] = Exit(code, None)
        known.watch(Watched(First(pid, False), fd))
        known.died(fd)
    assert known.kernels_word() == Exit(told, None)
    known.release()


@pytest.mark.parametrize("known_pid", [None, 5])
def test_a_process_that_only_prepared_a_container_does_not_tell_its_end(
    host: FakeHost, nameless: Watching, words: Words, known_pid: int | None
) -> None:
    """runc's helper exits with 0 and leaves the container's own first process behind, which the agent may never see."""
    words.append(Exit(0, None))
    nameless.known.life.pid = known_pid
    nameless.dead(First(5, False))
    host.remove("web")
    assert nameless.look().ends == [(0, None) if known_pid == 5 else (None, f"{module.UNKNOWN}; {UNSEEN}")]


# -- counted kills


def test_what_was_counted_stays_though_its_cgroup_was_just_being_removed(host: FakeHost, watching: Watching) -> None:
    """On v1 a cgroup leaves one tree after the other, and on v2 the files go before the directory."""
    kill(host, "web", 1)
    assert [each.total for each in watching.between().killed] == [1]
    for name in ("memory.events", "memory.peak"):
        (host.scope("web") / name).unlink()
    watching.web.forget_vitals()
    (look,) = watching.look().looks
    assert look.vitals == Vitals(1, None, None), "of one that lives, unknown is unknown"
    ended(host, "web", ExitCode=137)
    host.remove("web")
    (end,) = watching.look().ended
    assert end.last is not None and end.last.vitals == Vitals(1, 1, 99)


def test_kills_before_the_agent_rests_are_no_news_and_one_at_the_death_is(host: FakeHost) -> None:
    kill(host, "web", 5)
    watching = Watching(host)
    used = watching.web.descriptors.used
    watching.looks.take({})
    watching.looks.rest()
    assert watching.web.descriptors.used == used and watching.looks.changes() == []
    kill(host, "web", 6)
    watching.dead(First(101, True))
    host.remove("web", from_disk=True)
    assert [end.oom_killed for end in watching.look().ended] == [True]


def test_kills_that_another_reading_has_counted_are_told_once(host: FakeHost) -> None:
    kill(host, "web", 1)
    watching = Watching(host)
    watching.looks.take({})
    watching.looks.rest()
    for total, kills in ((1, []), (3, [2]), (3, []), (2, []), (4, [1])):  # 2: of an earlier reading
        watching.looks.counted({life_of(watching.web): total})
        assert [each.kills for each in watching.changes().killed] == kills
    kill(host, "web", 4)
    assert watching.between().killed == []


@pytest.mark.parametrize(("counted", "killed"), [(True, False), (False, None)])
def test_no_end_is_told_to_be_none_by_the_oom_killer_where_the_kills_were_not_counted_after_it(
    host: FakeHost, nameless: Watching, counted: bool, killed: bool | None
) -> None:
    """A runtime may remove the cgroup before it can be looked at: the last count is of before."""
    if counted:
        nameless.dead(First(101, True))
    host.remove("web")
    assert [end.oom_killed for end in nameless.look().ended] == [killed]


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
