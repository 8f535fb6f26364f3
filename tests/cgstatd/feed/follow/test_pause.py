"""What clients are told of a time in which none of them followed: once each, and a sentence where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from cgstatd.feed.follow.pause import (
    DROPPED,
    NOT_RECORDED,
    NOT_SEEN,
    OFF,
    TOO_LONG,
    Pause,
    Standing,
    Told,
    missed,
    pause_since,
)
from cgstatd.feed.history.ring import Ring
from cgstatd.host.identity import Identity
from cgstatd.sampling.history_model import ContainerSample, Ended, HostSample, Life, Subject, Taken
from cgstatd.sampling.round import Changes

HOST = HostSample(1, 2, 2, 3, 4, 0, 0, 5, 1)
SECOND = 1_000_000_000
NOW_MS = 1_000_000


def life(name: str, inode: int = 1) -> Life:
    return Life(0, "docker", name, inode)


def told(name: str, oom_kills: int | None = 0, *, oom_told: bool = False) -> Told:
    return Told(Identity(name, f"the {name}", "docker", 0, None), oom_kills, oom_told)


def standing(seconds: float, *lives: Life, **more: Told) -> Standing:
    """Lives that clients know of; ``more``: those of which more than the name matters."""
    found = {each: told(each.id) for each in lives} | {life(name): each for name, each in more.items()}
    return Standing(int(seconds * SECOND), found)


class End(NamedTuple):
    """Of a life, in a round."""

    life: Life
    exit_code: int | None = None
    oom_killed: bool | None = None
    finished_ms: int | None = None


def kept(rounds: int = 360) -> Ring:
    ring = Ring(rounds, 10.0)
    ring.began_ns = 0
    return ring


def take(ring: Ring, number: int, kills: Mapping[Life, int | None], *ended: End) -> None:
    """The round of a point of the grid, a little late: the lives that it lists, each with its kills."""
    sample = ContainerSample(1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1)
    ring.add(
        number,
        Taken(
            number * 10_000 + 500,
            number * 10 * SECOND + SECOND // 2,
            number * 10 * SECOND,
            HOST,
            {each: (Subject(f"the {each.id}", None, "shop"), None) for each in kills},
            {each: sample._replace(oom_kills=count) for each, count in kills.items()},
            [Ended(*each) for each in ended],
        ),
        0,
    )


def told_of(found: list[tuple[int, Changes]]) -> list[tuple[int, str, str]]:
    """(seconds, event, container) as they are sent."""
    said = []
    for when, changes in found:
        for ended in changes.ended:
            if ended.killed is not None:
                said.append((when // 1000, f"oom {ended.killed.kills}", ended.identity.id))
            said.append((when // 1000, f"exit {ended.exit_code}", ended.identity.id))
        said += [(when // 1000, "start", identity.id) for identity in changes.started]
        assert not changes.killed
    return said


def pause(left: Standing, ring: Ring) -> Pause:
    found = pause_since(left, ring)
    assert isinstance(found, Pause), found
    return found


def test_each_start_and_end_of_the_pause_is_told_once_and_nothing_else() -> None:
    ring, stays, goes, comes, passes = kept(), life("stays"), life("goes"), life("comes"), life("passes")
    take(ring, 0, {stays: 0, goes: 0})
    take(ring, 1, {stays: 0, goes: 0})
    left = standing(12, stays, goes)
    take(ring, 2, {stays: 0, passes: 0}, End(goes, 3, False, 14_000))
    take(ring, 3, {stays: 0, comes: 0}, End(passes, 0, False, 27_000))
    found = missed(pause(left, ring), standing(35, stays, comes), ring, NOW_MS)
    assert told_of(found) == [
        (14, "exit 3", "goes"), (20, "start", "passes"), (27, "exit 0", "passes"), (1000, "start", "comes"),
    ]  # fmt: skip
    assert found[1][1].started[0].name == "the passes"


def test_what_was_told_before_the_pause_and_noticed_by_the_history_later_is_not_told_again() -> None:
    ring, before = kept(), life("before")
    take(ring, 0, {before: 0})
    left = standing(7)  # its end was told at second 6
    take(ring, 1, {}, End(before, 1, False, 6_000))
    assert missed(pause(left, ring), standing(12), ring, NOW_MS) == []


def test_a_round_that_was_taken_late_is_of_the_pause_though_its_point_is_not() -> None:
    ring, short = kept(), life("short")
    take(ring, 0, {})
    left = standing(10.2)  # the round of second 10 is taken at 10.5
    take(ring, 1, {short: 0})
    take(ring, 2, {}, End(short, 0, False, 15_000))
    found = missed(pause(left, ring), standing(21), ring, NOW_MS)
    assert told_of(found) == [(10, "start", "short"), (15, "exit 0", "short")]


def test_a_container_that_was_started_again_has_an_end_before_its_start() -> None:
    ring, first, second = kept(), life("web", 1), life("web", 2)
    take(ring, 0, {first: 0})
    left = standing(1, first)
    take(ring, 1, {second: 0}, End(first, 137, False, None))  # noticed at 10 s: no runtime recorded when
    found = missed(pause(left, ring), standing(12, second), ring, 11_000)
    assert told_of(found) == [(10, "exit 137", "web"), (11, "start", "web")]


def test_an_end_after_the_last_round_of_the_history_is_told_without_its_exit_code() -> None:
    ring, gone, unread = kept(), life("gone"), life("unread")
    take(ring, 0, {gone: 0, unread: 0})
    left = standing(1, gone, unread)
    take(ring, 1, {gone: 0}, End(unread))
    found = missed(pause(left, ring), standing(12), ring, NOW_MS)
    assert told_of(found) == [(10, "exit None", "unread"), (1000, "exit None", "gone")]
    assert [changes.ended[0].absent for _, changes in found] == [NOT_RECORDED, NOT_SEEN]
    assert found[1][1].ended[0].oom_killed is None


@pytest.mark.parametrize(
    ("known", "total", "end", "expected"),
    [
        (told("web", 2), 5, End(life("web"), 137, True), ["oom 3", "exit 137"]),
        (told("web", 2, oom_told=True), 2, End(life("web"), 137, True), ["exit 137"]),  # that kill was told
        (told("web", 0), 0, End(life("web"), 137, True), ["oom None", "exit 137"]),  # only its runtime knows
        (told("web", None), 4, End(life("web"), 137, True), ["oom None", "exit 137"]),
        (told("web", 0), None, End(life("web"), 0, False), ["exit 0"]),
    ],
)
def test_kills_before_an_end_are_those_that_were_not_told(
    known: Told, total: int | None, end: End, expected: list[str]
) -> None:
    ring = kept()
    take(ring, 0, {life("web"): known.oom_kills})
    left = standing(1, web=known)
    take(ring, 1, {life("web"): total})
    take(ring, 2, {}, end)
    found = missed(pause(left, ring), standing(22), ring, NOW_MS)
    assert [event for _, event, _ in told_of(found)] == expected


def test_kills_of_a_life_that_was_whole_in_the_pause_come_between_its_start_and_its_end() -> None:
    ring, short = kept(), life("short")
    take(ring, 0, {})
    left = standing(1)
    take(ring, 1, {short: 2})
    take(ring, 2, {}, End(short, 137, True, 15_000))
    found = told_of(missed(pause(left, ring), standing(22), ring, NOW_MS))
    assert [event for _, event, _ in found] == ["start", "oom 2", "exit 137"]


def test_where_the_history_does_not_reach_a_sentence_says_so() -> None:
    assert pause_since(standing(1), None) == OFF
    ring = kept(rounds=3)
    assert pause_since(standing(1), ring) == TOO_LONG, "there was no round yet"
    for number in range(5):
        take(ring, number, {})
    assert pause_since(standing(12), ring) == TOO_LONG
    assert isinstance(pause_since(standing(22), ring), Pause)
    ring.incomplete = 3
    assert pause_since(standing(22), ring) == DROPPED
    assert isinstance(pause_since(standing(35), ring), Pause), "what was dropped is of the time before"
