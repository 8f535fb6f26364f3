"""What is worth a notification, and what is not."""

from __future__ import annotations

from typing import Any

from cgroupfs import Vitals
from cgstatd.feed.lives import FLAPS, Lives
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.notify.rules import Rules
from cgstatd.outputs.notification_json import Notification
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.round import Changes, Ended, Killed

SECRETS = {"PASSWORD": "hunter2", "com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
WEB = Identity(
    "0f" * 32, "web", "docker", 0, Metadata("docker", "0f" * 32, "web", labels=SECRETS, finished_seconds=1e9)
)
HOST_BYTES = 1 << 30


class World:
    """Rules with lives that hear the same, at a fixed time."""

    def __init__(self) -> None:
        self.lives = Lives(lambda: 0.0, lambda: 2e9)
        self.lives.complete = True
        self.rules = Rules(self.lives, lambda: 2e9)

    def hear(self, found: Changes) -> list[Notification]:
        self.lives.hear(found)
        return list(self.rules.changes(found))

    def end(self, code: int | None, identity: Identity = WEB, **more: Any) -> list[Notification]:
        given = {"absent": None, "signal": None, "signal_absent": None, "oom_killed": False, "killed": None, **more}
        end = Ended(identity, None, identity.metadata, code, started_seconds=None, **given)
        return self.hear(Changes(ended=[end]))

    def kill(self, total: int | None, kills: int | None = 1) -> list[Notification]:
        return self.hear(Changes(killed=[Killed(WEB, kills, total, Vitals(None, None, total), None)]))

    def memory(self, usage: int | None, limit: int | None, cache: int | None = 0) -> list[Notification]:
        figures = ContainerStats(
            WEB, State.RUNNING, None, usage, cache, limit, None, None, None, None, None, time_ms=0, monotonic_ns=0
        )
        return list(self.rules.memory([figures], HOST_BYTES))


def test_an_end_with_another_code_than_0_is_told_with_how_it_ended() -> None:
    [found] = World().end(139, signal=11)
    assert found == Notification(
        type="exit", text="web ended with exit code 139 (signal 11)", timestamp=10**12, id=WEB.id, name="web",
        workload="compose:shop/web", runtime="docker", owner_uid=0, reason="Error", exit_code=139, signal=11,
        oom_killed=False, restarts=0,
    )  # fmt: skip


def test_a_container_that_was_stopped_by_hand_is_told_too_for_no_record_says_who_it_was() -> None:
    assert [each.exit_code for each in World().end(143, signal=15)] == [143]


def test_an_end_with_0_is_none_and_an_unknown_code_is_counted() -> None:
    world = World()
    assert world.end(0) == [] and world.rules.unknown_ends == 0
    assert world.end(None, absent="this kernel does not keep it") == []
    assert world.rules.unknown_ends == 1


def test_an_end_for_want_of_memory_is_told_even_without_a_code() -> None:
    [found] = World().end(None, absent="no record", oom_killed=True)
    assert (found.reason, found.exit_code, found.exit_code_absent) == ("OOMKilled", None, "no record")
    assert found.text == "web ended with an unknown code; it had processes killed for want of memory"


def test_a_child_that_was_killed_is_told_once() -> None:
    world = World()
    assert [each.kills for each in world.kill(1)] == [1]
    assert world.kill(1) == []  # a client came, to which it is news
    assert [(each.type, each.reason) for each in world.kill(3, 2)] == [("oom", "OOMKilled")]
    assert world.end(0) == []
    assert len(world.kill(1)) == 1  # it was started again: its counter began anew


def test_a_kill_that_only_the_runtime_knows_of_is_told_with_an_end_of_0() -> None:
    killed = Killed(WEB, None, None, Vitals(None, None, None), None)
    assert [each.type for each in World().end(0, killed=killed)] == ["oom"]
    assert [each.type for each in World().end(137, killed=killed, oom_killed=True)] == ["exit"]


def test_flapping_is_told_once_until_it_has_stopped() -> None:
    world, now = World(), [0.0]
    world.lives = Lives(lambda: now[0], lambda: 2e9)
    world.rules = Rules(world.lives, lambda: 2e9)
    lxc = Identity("box", "box", "lxc", 0, None)

    def life() -> list[str]:
        ended = world.end(1, lxc)
        return [each.type for each in (*ended, *world.hear(Changes(started=[lxc])))]

    for _ in range(FLAPS - 1):
        assert life() == ["exit"]
    assert life() == ["exit", "flapping"]
    assert life() == ["exit"]
    now[0] += 10_000
    assert life() == ["exit"]
    for _ in range(FLAPS - 2):
        assert life() == ["exit"]
    assert life() == ["exit", "flapping"]


def test_what_flapped_before_the_agent_was_started_again_is_told_once_it_has_stopped_to() -> None:
    now, lxc = [0.0], Identity("box", "box", "lxc", 0, None)
    world = World()
    world.lives = Lives(lambda: now[0], lambda: 2e9)
    world.rules = Rules(world.lives, lambda: 2e9, lambda: now[0])
    world.rules.go_on([], ["lxc:box"])
    for _ in range(2 * FLAPS):
        assert [each.type for each in world.end(1, lxc)] == ["exit"]
        assert world.hear(Changes(started=[lxc])) == []
    assert world.rules.flapping == ["lxc:box"]
    now[0] += 10_000
    world.end(1, lxc)
    assert world.rules.flapping == []


def test_near_the_limit_is_told_once_and_again_only_after_it_was_far_below() -> None:
    world, limit = World(), 1000
    told = [len(world.memory(usage, limit)) for usage in (899, 900, 950, 850, 990, 801, 900, 799, 899, 900)]
    assert told == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_near_the_limit_counts_no_inactive_file_cache() -> None:
    assert World().memory(1000, 1000, cache=101) == []
    [found] = World().memory(1000, 1000, cache=100)
    assert (found.memory_usage, found.memory_limit, found.reason) == (900, 1000, "NearMemoryLimit")
    assert found.text == "web is at 90 % of its memory limit"


def test_without_a_limit_of_its_own_it_is_near_none() -> None:
    world = World()
    assert world.memory(HOST_BYTES, HOST_BYTES) == []
    assert world.memory(None, 1000) == world.memory(1000, None) == world.memory(1000, 0) == []


def test_a_container_that_came_back_near_its_limit_is_told_again() -> None:
    world = World()
    assert len(world.memory(950, 1000)) == 1
    assert list(world.rules.memory([], HOST_BYTES)) == []
    assert len(world.memory(950, 1000)) == 1


def test_nothing_of_its_labels_or_its_image_is_told() -> None:
    world = World()
    told = [*world.end(1), *world.kill(1), *world.memory(950, 1000)]
    assert len(told) == 3 and "hunter2" not in repr(told) and "PASSWORD" not in repr(told)
