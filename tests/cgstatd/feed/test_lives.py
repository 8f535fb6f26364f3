"""What is known of workloads across the lives of their containers."""

from __future__ import annotations

from typing import Any

import pytest

from cgroupfs import Vitals
from cgstatd.feed.lives import FLAPPING_SECONDS, FLAPS, GONE_SECONDS, KEPT, Lives
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.lived import UNSEEN, Lived, Terminated, last_end, with_end
from cgstatd.sampling.round import Changes, Ended, Killed

SHOP = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


class World:
    """Lives with a clock, and what happens in them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lives = Lives(lambda: self.now, lambda: self.now + 1e9)
        self.lives.complete = True

    def end(self, identity: Identity, code: int | None = 1, **more: Any) -> None:
        metadata = identity.metadata and more.pop("record", identity.metadata)
        given = {"absent": None, "signal": None, "signal_absent": None, "oom_killed": None, **more}
        self.lives.hear(
            Changes(ended=[Ended(identity, None, metadata, code, started_seconds=None, killed=None, **given)])
        )

    def start(self, identity: Identity) -> None:
        self.lives.hear(Changes(started=[identity]))

    def again(self, identity: Identity, code: int | None = 1, into: Identity | None = None, **more: Any) -> None:
        """It ends and is started again, perhaps as another one."""
        self.end(identity, code, **more)
        self.start(into or identity)

    def kills(self, identity: Identity) -> int | None:
        return self.lives.view().with_kills(identity)[1]

    def of(self, identity: Identity) -> Lived:
        return self.lives.view().of(identity)

    def last(self, identity: Identity) -> Terminated:
        last = self.of(identity).last
        assert last is not None
        return last

    def flapping(self, identity: Identity) -> bool | None:
        return self.of(identity).flapping


@pytest.fixture
def world() -> World:
    return World()


def counted(restarts: int | None, number: int = 1, name: str = "web", uid: int = 0, **more: Any) -> Identity:
    """A container of an engine that counts restarts (or not)."""
    made = Metadata("docker", f"{number:064x}", name, restarts=restarts, owner_uid=uid, **more)
    return Identity(made.id, name, "docker", uid, made)


def shop(restarts: int, number: int, **more: Any) -> Identity:
    """One of the containers that a workload has, one after the other."""
    return counted(restarts, number, "shop-web-1", labels=SHOP, **more)


def lxc(name: str = "box") -> Identity:
    return Identity(name, name, "lxc", 0, None)


def test_what_never_ended_has_the_engines_count_and_else_none_that_the_agent_saw(world: World) -> None:
    assert world.of(counted(4)) == Lived(4, False, None)
    assert world.of(lxc()) == Lived(0, False, None)
    world.start(lxc())
    assert world.of(lxc()).restarts == 0 and not world.lives.view().known


def test_without_a_watch_nothing_is_known_that_no_engine_says() -> None:
    lives = Lives()
    assert lives.view().of(lxc()) == Lived(None, None, None)
    assert lives.view().of(counted(4)) == Lived(4, None, None)


def test_the_last_end_is_remembered_with_its_reason(world: World) -> None:
    world.end(lxc(), 139, signal=11)
    assert world.last(lxc()) == Terminated("box", 139, signal=11, finished_seconds=world.now + 1e9)
    assert world.last(lxc()).reason == "Error"
    world.end(lxc(), 137, signal=9, oom_killed=True)
    assert world.last(lxc()).reason == "OOMKilled"
    world.end(lxc(), 0, oom_killed=True)  # a child was killed, and it went on
    assert world.last(lxc()).reason == "Completed"
    world.end(lxc(), None, absent="why")
    assert (world.last(lxc()).reason, world.last(lxc()).absent) == (None, "why")


def test_an_engines_count_counts_once_whether_it_rises_with_the_end_or_with_the_start(world: World) -> None:
    """Docker counts at the end, Podman at the start."""
    for number in range(1, 3):
        world.again(counted(number), 0, record=counted(number, state=State.RESTARTING).metadata)
        assert world.of(counted(number)) == Lived(number, False, world.of(counted(number)).last)
    world.again(counted(3, state=State.RESTARTING), 0)
    assert world.flapping(counted(3)) is True
    podman = World()
    for number in range(FLAPS):
        assert podman.flapping(counted(number)) is False
        podman.again(counted(number), 1, counted(number + 1))
    assert podman.of(counted(FLAPS))[:2] == (FLAPS, True)


def test_lives_that_were_missed_are_in_the_engines_count(world: World) -> None:
    world.again(counted(1))
    world.again(counted(50))
    assert world.of(counted(50))[:2] == (50, True)


def test_restarts_that_only_the_engine_saw_count_while_no_end_and_no_start_is_heard(world: World) -> None:
    world.end(counted(0))
    for restarts, flapping in ((1, False), (2, False), (3, True), (40, True)):
        assert world.of(counted(restarts))[:2] == (restarts, flapping)
    world.now += FLAPPING_SECONDS + 1  # by now they may have been before the last quarter of an hour
    assert world.of(counted(40))[:2] == (40, False)
    world.start(counted(40))
    assert world.flapping(counted(40)) is True, "heard now: when they were is not known"


def test_the_count_of_a_container_that_was_made_lately_is_of_lately(world: World) -> None:
    """Each of its lives may be too short to be seen."""
    wall = world.now + 1e9
    young: dict[str, Any] = {"created_seconds": wall - 60}
    old: dict[str, Any] = {"created_seconds": wall - FLAPPING_SECONDS - 1}
    assert world.of(counted(2, **young)) == Lived(2, False, None)
    assert world.of(counted(3, **young)) == Lived(3, True, None)
    assert world.of(counted(3, **old)) == Lived(3, False, None)
    assert Lives(lambda: 0.0, lambda: wall).view().of(counted(3, **young)).flapping is True
    world.again(counted(2, **young), 1, counted(3, **young))  # the first that is heard
    world.now += FLAPPING_SECONDS - 100
    assert world.flapping(counted(3, **young)) is True
    other = World()
    other.again(counted(2, **old), 1, counted(3, **old))
    assert other.flapping(counted(3, **old)) is False


def test_the_count_of_one_that_took_anothers_place_is_added_to_what_was_heard_of_that(world: World) -> None:
    wall = world.now + 1e9
    new = shop(2, 2, created_seconds=wall)
    world.again(shop(0, 1), 1, new)
    assert world.of(new)[:2] == (3, True)


@pytest.mark.parametrize("code", [3, None])
def test_it_flaps_for_a_quarter_of_an_hour_after_the_third_time(world: World, code: int | None) -> None:
    """An end that is not known counts as a failure."""
    for _ in range(FLAPS):
        assert world.flapping(lxc()) is False
        world.again(lxc(), code, absent=None if code else "why")
        world.now += 100
    assert world.of(lxc())[:2] == (FLAPS, True)
    world.now += FLAPPING_SECONDS - 100 * FLAPS - 1
    assert world.flapping(lxc()) is True
    world.now += 2
    assert world.of(lxc())[:2] == (FLAPS, False)


def test_a_job_that_ends_well_each_minute_does_not_flap_and_is_no_restart(world: World) -> None:
    for _ in range(10):
        world.again(lxc("job"), 0)
    assert world.of(lxc("job"))[:2] == (0, False)


def test_a_container_that_is_made_anew_keeps_its_workloads_count(world: World) -> None:
    old, new, newer = shop(5, 1), shop(0, 2), shop(2, 2)
    world.again(old, 137, new)
    assert world.of(new).restarts == 6
    assert world.of(old).restarts == 5  # it is on disk still: its own engine's word
    assert world.of(newer).restarts == 8
    world.again(newer, 0, shop(0, 3))
    assert world.of(shop(0, 3)).restarts == 8  # made anew after it ended well


def test_started_by_hand_the_engine_counts_anew_and_the_agent_goes_on(world: World) -> None:
    world.again(counted(5), 1, counted(0))
    assert [world.of(counted(number)).restarts for number in (0, 2)] == [5, 7]
    assert world.of(counted(0, uid=1000)).last is None, "a user's is another workload than the system's"


def test_so_many_are_kept_and_the_owner_of_the_most_gives_way(world: World) -> None:
    for number in range(10):
        world.end(counted(None, number, f"s{number}"))
    for number in range(KEPT + 50):
        world.end(counted(None, number, f"u{number}", uid=1000))
    assert len(world.lives.view().known) == KEPT
    assert world.of(counted(None, 0, "s0")).last is not None
    assert world.of(counted(None, 0, "u0", uid=1000)).last is None


def kill(world: World, identity: Identity, kills: int | None, total: int | None, inode: int = 1) -> None:
    life = Life(identity.owner_uid, identity.runtime, identity.id, inode)
    world.lives.hear(Changes(killed=[Killed(identity, kills, total, Vitals(None, None, None), None, life)]))


def scraped(world: World, identity: Identity, before: int, total: int, inode: int = 1) -> None:
    world.lives.counted(identity, Life(identity.owner_uid, identity.runtime, identity.id, inode), before, total)


def test_kills_are_counted_by_workload_over_its_lives(world: World) -> None:
    old, new = shop(0, 1), shop(0, 2)
    assert world.kills(old) == 0
    kill(world, old, 2, 2)
    world.end(old, 137, oom_killed=True)
    assert world.kills(old) == world.kills(new) == 2
    kill(world, new, 1, 1, inode=2)
    kill(world, new, 1, 2, inode=2)
    assert world.kills(new) == 4
    lives = Lives()
    assert lives.view().with_kills(old)[1] is None, "without a watch"
    lives.counted(lxc(), Life(0, "lxc", "box", 1), 0, 1)
    assert lives.view().of(lxc()) == Lived(None, None, None) and not list(lives.view().gone()), "it never ended"


def test_a_kill_that_a_scrape_has_counted_and_a_look_tells_is_one(world: World) -> None:
    box = lxc()
    scraped(world, box, 5, 5)  # they were before the agent
    assert world.kills(box) == 0
    scraped(world, box, 5, 6)
    kill(world, box, 1, 6)
    kill(world, box, 2, 8)
    scraped(world, box, 6, 8)
    assert world.kills(box) == 3
    scraped(world, box, 0, 1, inode=2)  # another life
    kill(world, box, 1, 1, inode=2)
    assert world.kills(box) == 4


@pytest.mark.parametrize("counted_before", [False, True])
def test_a_kill_that_only_the_runtime_tells_counts_unless_it_was_counted(world: World, counted_before: bool) -> None:
    box = lxc()
    if counted_before:
        scraped(world, box, 0, 1)
    life = Life(0, "lxc", "box", 1)
    told = Killed(box, None, None, Vitals(None, None, None), None, life)
    world.lives.hear(Changes(ended=[Ended(box, None, None, 137, None, 9, None, True, None, told)]))
    assert world.kills(box) == 1


def test_a_workload_that_comes_back_after_an_hour_has_no_kills(world: World) -> None:
    """Its series was gone: one that comes with a kill would be taken for a new one."""
    kill(world, lxc(), 1, 1)
    world.end(lxc(), 137, oom_killed=True)
    world.now += GONE_SECONDS - 1
    world.start(lxc())
    assert world.kills(lxc()) == 1
    world.end(lxc(), 0)
    world.now += GONE_SECONDS
    assert world.kills(lxc()) == 1
    world.start(lxc())
    assert world.kills(lxc()) == 0


def test_what_ended_within_the_hour_is_remembered_by_name_and_workload(world: World) -> None:
    world.end(lxc("box"), 3)
    world.end(Identity("ab" * 32, "abababababab", "docker", 0, None), 3)  # nothing but an id
    [gone] = world.lives.view().gone()
    assert gone[:3] == ("lxc:box", "box", 0) and gone.lived == world.of(lxc("box")) and gone.kills == 0
    for _ in range(FLAPS):
        world.start(lxc("box"))
        world.end(lxc("box"), 3)
    assert [each.lived[:2] for each in world.lives.view().gone()] == [(FLAPS, True)]
    world.now += GONE_SECONDS - 1
    assert len(list(world.lives.view().gone())) == 1
    world.now += 2
    assert not list(world.lives.view().gone())


def test_a_view_does_not_change(world: World) -> None:
    world.end(lxc(), 1)
    view = world.lives.view()
    world.end(lxc(), 2)
    world.end(lxc("other"), 2)
    assert (last := view.of(lxc()).last) is not None and last.exit_code == 1
    assert view.of(lxc("other")).last is None


def test_where_the_state_does_not_say_how_it_ended_the_agents_word_counts() -> None:
    stopped = Metadata("lxc", "box", "box")
    seen = Terminated("box", 3, oom_killed=False, finished_seconds=5.0)
    found = with_end(stopped, "box", seen)
    assert (found.state, found.exit_code, found.finished_seconds) == (State.EXITED, 3, 5.0)
    assert with_end(stopped, "box", None) is stopped
    assert with_end(stopped, "box", seen._replace(id="other")) is stopped
    recorded = Metadata("docker", "box", "box", state=State.EXITED, exit_code=4)
    assert with_end(recorded, "box", seen) is recorded


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED])
@pytest.mark.parametrize(
    ("seen", "ended"),
    [
        # Started again: its engine writes that it runs; its cgroup was not there yet when the containers were listed.
        (Terminated("a", 137, started_seconds=10.0), False),
        (Terminated("a", 137, finished_seconds=19.0), False),
        # Its engine has not yet written that it has ended.
        (Terminated("a", 137, started_seconds=19.8, finished_seconds=21.0), True),  # its cgroup is older than its start
        (Terminated("a", 137, started_seconds=20.0), True),
        (Terminated("a", 137, finished_seconds=21.0), True),
    ],
)
def test_one_that_its_engine_says_runs_has_the_end_of_this_life(state: State, seen: Terminated, ended: bool) -> None:
    runs = Metadata("docker", "a", "a", state=state, started_seconds=20.0)
    found = with_end(runs, "a", seen)
    assert found is runs if not ended else (found.state, found.exit_code) == (State.EXITED, 137)


def test_the_last_end_of_one_that_does_not_run_is_its_own_or_has_a_reason() -> None:
    seen = Terminated("a", 137, signal=9)
    exited = Metadata("docker", "a", "a", state=State.EXITED, exit_code=137)
    assert last_end(exited, "a", Lived(last=seen), running=False) == seen
    other = last_end(exited, "a", Lived(last=seen._replace(id="b")), running=False)
    assert other is not None and (other.exit_code, other.signal) == (137, None) and "137" in str(other.signal_absent)
    later = Metadata("docker", "a", "a", state=State.EXITED, exit_code=3)  # it ran again since, unseen
    found = last_end(later, "a", Lived(last=seen), running=False)
    assert found is not None and (found.exit_code, found.signal, found.signal_absent) == (3, None, None)
    assert last_end(Metadata("docker", "a", "a", state=State.CREATED), "a", Lived(), running=False) is None
    unknown = last_end(Metadata("lxc", "a", "a"), "a", Lived(), running=False)
    assert unknown is not None and unknown.absent == UNSEEN
    assert last_end(exited, "a", Lived(last=seen._replace(id="b")), running=True) == seen._replace(id="b")
    assert last_end(exited, "a", Lived(), running=True) is None
