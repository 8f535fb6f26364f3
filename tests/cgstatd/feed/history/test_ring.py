"""The ring keeps every counter as it was, within its rounds and its bytes, whatever containers come and go."""

from __future__ import annotations

import gc
import random
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import Vitals
from cgstatd.feed.history.ring import Ring
from cgstatd.feed.history.series import ROWS, UNKNOWN, Layout, Series
from cgstatd.feed.history.tracks import CONTAINER, HOST
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.round import Changes, Ended, Killed
from kepthistory import life, sample, taken


def identity(which: Life) -> Identity:
    return Identity(which.id, "web", which.runtime, which.owner_uid, None)


def begun(*those: Life) -> Changes:
    return Changes(started=[identity(each) for each in those], begun=[*those])


def end(which: Life, code: int | None = 0, noticed: float | None = None, **record: Any) -> Changes:
    """The end of a life; ``record``: what its runtime wrote of it."""
    found = Metadata("docker", which.id, "web", **record) if record else None
    killed = Killed(identity(which), None, None, Vitals(None, None, None), None) if code == 137 else None
    one = Ended(identity(which), None, found, code, None, None, None, code == 137, None, killed, which, noticed)
    return Changes(ended=[one])


def marks(ring: Ring) -> list[tuple[str, int, int, int | None]]:
    """(event, round, second, exit code) of each life, the first first."""
    lives = sorted(ring.tracks(), key=lambda each: (each.first, each.serial))
    return [(mark.event, mark.round, mark.time_ms // 1000, mark.exit_code) for each in lives for mark in each.marks]


def rows(ring: Ring, which: Life) -> list[tuple[int | None, ...]]:
    return [row for track in ring.tracks() if track.life == which for row in track.series.between(0, ring.last)]


# -- a series


def test_what_the_first_version_stored_comes_back_and_what_it_did_not_know_is_unknown() -> None:
    rows = [(number, *range(number, number + 14)) for number in range(40)]
    packed = b"".join(struct.pack("<15Q", *row) for row in rows)
    stored = zlib.compress(b"".join(packed[place::120] for place in range(120)), 1)
    assert [row[:15] for row in CONTAINER.rows(CONTAINER.opened(stored))] == rows
    assert {row[15:] for row in CONTAINER.rows(CONTAINER.opened(stored))} == {(None,) * (CONTAINER.columns - 15)}
    later, today = Layout(3), Layout(2)  # a version that is still to come has more columns
    chunk = later.shut(later.pack(1, (2, 3, 4)))
    assert list(today.rows(today.opened(chunk))) == [(1, 2, 3)]


values = st.lists(st.one_of(st.none(), st.integers(0, UNKNOWN - 1)), min_size=3, max_size=3)


@given(st.lists(values, max_size=100), st.integers(1, ROWS))
def test_every_row_comes_back_as_it_was(each: list[list[int | None]], room: int) -> None:
    series = Series(Layout(3), room)
    for number, row in enumerate(each):
        series.append(number, row)
    assert [list(row) for row in series.between(0, 1000)] == [[n, *row] for n, row in enumerate(each)]


@pytest.mark.parametrize("impossible", [-1, UNKNOWN, UNKNOWN + 1, 1 << 80])
def test_what_no_kernel_counts_to_is_not_known(impossible: int) -> None:
    series = Series(Layout(2))
    series.append(0, [impossible, 7])
    assert list(series.between(0, 0)) == [(0, None, 7)]


def test_rounds_that_are_asked_for_are_found_without_unpacking_the_others() -> None:
    series = Series(Layout(1))
    for number in range(10 * ROWS):
        series.append(number, [number])
    found = series.between(3 * ROWS, 3 * ROWS + 1)
    assert len(found.chunks) == 1 and found.tail == b""
    assert [row[0] for row in found] == list(range(3 * ROWS, 4 * ROWS))


def test_a_series_forgets_the_oldest_first_and_counts_its_bytes() -> None:
    series = Series(Layout(1))
    empty = series.size
    for number in range(3 * ROWS):
        series.append(number, [number])
    series.drop_before(ROWS)
    assert series.first == ROWS
    assert series.drop_oldest() == 2 * ROWS - 1 and series.drop_oldest() == 3 * ROWS - 1 and series.drop_oldest() == -1
    assert (series.size, series.first, series.last) == (empty, -1, 3 * ROWS - 1)


# -- the ring


def test_counters_are_kept_for_so_many_rounds_and_no_longer() -> None:
    ring, web = Ring(100, 10), life(1)
    for number in range(500):
        ring.add(number, taken(number, {web: sample(number, usage=7 * number)}), 0)
    assert (ring.first, ring.last) == (400, 499)
    found = rows(ring, web)
    assert 100 <= len(found) < 100 + 2 * ROWS
    assert found[-1] == (499, *sample(499, usage=7 * 499))


def test_a_dead_container_stays_until_it_ages_out() -> None:
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {}), 0)
    ring.hear(begun(web), 7_000)
    for number in range(1, 11):
        ring.add(number, taken(number, {web: sample(number)}), 0)
    ring.add(11, taken(11, {}, [web]), 0)
    ring.hear(end(web, 3), 111_500)  # it was held back until its runtime had written it
    assert marks(ring) == [("start", 1, 7, None), ("exit", 12, 111, 3)], "the exit is told by the round that is to come"
    for number in range(12, 112):
        ring.add(number, taken(number, {}), 0)
    assert len(rows(ring, web)) == 10 and web not in ring.living
    for number in range(112, 114):
        ring.add(number, taken(number, {}), 0)
    assert not list(ring.tracks()) and ring.used == 0 and not ring._unexplained


def test_lives_that_no_round_has_seen_have_their_marks_in_order_and_take_no_row() -> None:
    """One-second lives, and one that was killed for want of memory: under a restart policy, between two rounds."""
    ring, first, second, third = Ring(100, 10), life(1)._replace(inode=1), life(1)._replace(inode=2), life(1)
    ring.add(0, taken(0, {}), 0)
    ring.hear(begun(first), 1_000)
    ring.hear(end(first, 1, noticed=2.0), 2_100)
    ring.hear(begun(second), 3_000)
    ring.hear(end(second, 137, finished_seconds=4.0, state=State.RESTARTING), 4_300)
    ring.hear(begun(third), 4_800)
    ring.add(3, taken(3, {third: sample(3)}), 0)  # points 1 and 2 had no round
    assert marks(ring) == [
        ("start", 3, 1, None), ("exit", 3, 2, 1), ("start", 3, 3, None), ("oom", 3, 4, None), ("exit", 3, 4, 137),
        ("start", 3, 4, None),
    ]  # fmt: skip
    lives = ring.snapshot(3, 3).lives
    assert [(each.life, each.listed, len(list(each.rows))) for each in lives] == [
        (first, None, 0), (second, None, 0), (third, (3, 3), 1)
    ]  # fmt: skip
    assert [mark.restarting for mark in lives[1].marks] == [None, None, True]


def test_a_life_that_a_round_lists_after_its_end_was_told_has_one_end() -> None:
    """The round was being read meanwhile."""
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {web: sample(0)}), 0)
    ring.hear(end(web, 1), 9_000)
    ring.add(1, taken(1, {web: sample(1)}), 0)
    ring.add(2, taken(2, {}, [web]), 0)
    assert marks(ring) == [("exit", 1, 9, 1)] and [row[0] for row in rows(ring, web)] == [0, 1]
    assert not ring.living and not ring._unexplained


def test_a_start_that_no_round_follows_is_forgotten_in_time() -> None:
    ring = Ring(3, 10)
    ring.add(0, taken(0, {}), 0)
    ring.hear(begun(life(1)), 5_000)
    ring.add(1, taken(1, {}), 0)
    assert ring.living, "its listing may have been before"
    for number in range(2, 7):
        ring.add(number, taken(number, {}), 0)
    assert not list(ring.tracks()) and ring.used == 0 and not ring._unexplained


def test_an_end_is_not_later_than_the_start_behind_it_nor_earlier_than_its_own() -> None:
    ring, first, second = Ring(100, 10), life(1)._replace(inode=1), life(1)
    ring.add(0, taken(0, {first: sample(0)}), 0)
    found = begun(second)
    found.started = [identity(second)._replace(metadata=Metadata("docker", second.id, "web", started_seconds=6.0))]
    found.ended = end(first, None).ended
    ring.hear(found, 8_000)
    ring.hear(end(second, 0, finished_seconds=5.0), 9_000)  # a clock that was set
    ring.add(1, taken(1, {}, [first]), 0)
    assert marks(ring) == [("exit", 1, 6, None), ("start", 1, 6, None), ("exit", 1, 6, 0)]


def test_kills_of_one_that_lives_on_are_marks() -> None:
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {web: sample(0)}), 0)
    ring.hear(Changes(killed=[Killed(identity(web), 3, 8, Vitals(1, 8, 1), None, web)]), 4_000)
    ring.add(1, taken(1, {web: sample(1)}), 0)
    (track,) = ring.tracks()
    assert [(each.event, each.round, each.kills) for each in track.marks] == [("oom", 1, 3)]


def test_a_restart_is_another_life_even_with_the_inode_of_the_one_before() -> None:
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {web: sample(0)}), 0)
    for number in (1, 3):
        ring.add(number, taken(number, {}, [web]), 0)
        ring.add(number + 1, taken(number + 1, {web: sample(number + 1)}), 0)
    assert [track.first for track in ring.index.lives_of(web[:3])] == [0, 2, 4]


@pytest.mark.parametrize("recorded", [-1.0, 1e12, None])
def test_a_time_that_a_runtime_cannot_have_recorded_is_not_believed(recorded: float | None) -> None:
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {}), 0)
    found = begun(web)
    found.started = [identity(web)._replace(metadata=Metadata("docker", web.id, "web", started_seconds=recorded))]
    ring.hear(found, 10_000)
    ring.hear(end(web, 0, finished_seconds=recorded), 11_000)
    assert marks(ring) == [("start", 1, 10, None), ("exit", 1, 11, 0)]


# -- its bytes


def churn(ring: Ring, rounds: int, each_round: int, owner: int = 0, more: dict[Life, int] | None = None) -> None:
    """So many new containers a round, which live for that round."""
    numbers, before = iter(range(1_000_000, 9_000_000)), list[Life]()
    for number in range(rounds):
        new = [life(next(numbers), owner) for _ in range(each_round)]
        living = {each: sample(number, usage=random.getrandbits(60)) for each in [*new, *(more or {})]}
        ring.add(number, taken(number, living, before), 0)
        before = new


def test_thousands_of_short_lived_containers_do_not_make_it_grow() -> None:
    ring = Ring(360, 10, budget=1 << 20)
    churn(ring, 100, 100)
    assert ring.used + ring.host.size <= ring.budget
    assert ring.used == sum(each.bytes for each in ring.tracks()) == sum(each.weigh() for each in ring.tracks())
    assert 0 < ring.incomplete < ring.last


def test_short_lives_that_no_round_has_seen_do_not_make_it_grow_between_two_rounds() -> None:
    ring = Ring(360, 10, budget=1 << 20)
    ring.add(0, taken(0, {}), 0)
    for number in range(5_000):
        ring.hear(begun(life(number, 1000)), 5_000)
        ring.hear(end(life(number, 1000)), 5_000)
        assert ring.used + ring.host.size <= ring.budget
    assert ring.used == sum(each.bytes for each in ring.tracks()) == sum(each.weigh() for each in ring.tracks())


def test_the_bytes_that_it_counts_are_those_that_it_takes() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        ring = Ring(360, 10, budget=4 << 20)
        churn(ring, 60, 100)
        gc.collect()
        found = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.5 * ring.used < found < 1.25 * (ring.used + ring.host.size)


def test_the_owner_with_the_most_gives_way_and_the_others_keep_all() -> None:
    ring, web = Ring(360, 10, budget=1 << 20), life(1)
    churn(ring, 100, 100, owner=1000, more={web: 0})
    assert len(rows(ring, web)) == 100


def test_so_many_living_containers_that_nothing_fits_are_shortened_and_stay() -> None:
    ring = Ring(360, 10, budget=200_000)
    living = [life(number) for number in range(60)]
    for number in range(100):
        values = {each: sample(number, usage=random.getrandbits(60)) for each in living}
        ring.add(number, taken(number, values), 0)
    assert len(list(ring.tracks())) == 60 and ring.incomplete > 0
    assert ring.used <= ring.budget + 60 * CONTAINER.size


def test_an_hour_of_a_hundred_idle_containers_takes_less_than_six_megabytes() -> None:
    ring = Ring(360, 10)
    living = [life(number) for number in range(100)]
    for number in range(361):
        ring.add(number, taken(number, {each: sample(number, usage=number) for each in living}), 0)
    assert ring.used + ring.host.size < 6_000_000
    assert HOST.size < 200


def test_a_life_that_was_dropped_between_two_rounds_holds_up_no_round() -> None:
    """The round that its marks waited for is not the next one of the grid."""
    ring, web = Ring(100, 10, budget=1), life(1)
    ring.add(0, taken(0, {}), 0)
    ring.hear(begun(web), 10_000)
    ring.hear(end(web, 0), 11_000)
    assert list(ring.tracks()) == [] and ring.index.newest("web") is None
    for number in (3, 4):
        ring.add(number, taken(number, {}), 0)
    assert ring.last == 4 and ring.snapshot(0, 4).lives == []
