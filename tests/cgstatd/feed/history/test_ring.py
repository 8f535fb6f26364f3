"""The ring keeps every counter as it was, within its rounds and its bytes, whatever containers come and go."""

from __future__ import annotations

import gc
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgstatd.feed.history.ring import Ring
from cgstatd.feed.history.series import ROWS, UNKNOWN, Layout, Series
from cgstatd.feed.history.tracks import CONTAINER, HOST
from cgstatd.sampling.history_model import Ended, Life
from kepthistory import NOBODY, life, sample, taken


def rows(ring: Ring, which: Life) -> list[tuple[int | None, ...]]:
    return [row for track in ring.tracks() if track.life == which for row in track.series.between(0, ring.last)]


# -- a series


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
    for number in range(1, 11):
        ring.add(number, taken(number, {web: sample(number)}), 0)
    ring.add(11, taken(11, {}, [web]), 0)
    [track] = ring.tracks()
    assert [(mark.event, mark.round) for mark in track.marks] == [("start", 1), ("exit", 11)]
    for number in range(12, 111):
        ring.add(number, taken(number, {}), 0)
    assert [len(rows(ring, web)), *(each.ended for each in ring.tracks())] == [10, True]
    for number in range(111, 113):
        ring.add(number, taken(number, {}), 0)
    assert not list(ring.tracks()) and ring.used == 0


def test_kills_are_marks_also_those_of_the_first_round_and_those_that_only_the_runtime_saw() -> None:
    ring, old, new, killed = Ring(100, 10), life(1), life(2), life(3)
    ring.add(0, taken(0, {old: sample(0, oom_kills=5)}), 0)  # these were before the agent
    ring.add(1, taken(1, {old: sample(1, oom_kills=5), new: sample(1, oom_kills=2), killed: sample(1)}), 0)
    ring.add(2, taken(2, {old: sample(2, oom_kills=None), new: sample(2, oom_kills=2)}), 0)
    end = taken(3, {old: sample(3, oom_kills=8), new: sample(3, oom_kills=2)})
    ring.add(3, end._replace(ended=[Ended(killed, 137, True, 25_000)]), 0)
    found = {
        track.life: [(m.event, m.round, m.kills, m.exit_code) for m in track.marks if m.event != "start"]
        for track in ring.tracks()
    }
    assert found[old] == [("oom", 3, 3, None)] and found[new] == [("oom", 1, 2, None)]
    assert found[killed] == [("oom", 3, None, None), ("exit", 3, None, 137)]


def test_a_restart_is_another_life_even_with_the_inode_of_the_one_before() -> None:
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {web: sample(0)}), 0)
    for number in (1, 3):
        ring.add(number, taken(number, {}, [web]), 0)
        ring.add(number + 1, taken(number + 1, {web: sample(number + 1)}), 0)
    assert [track.first for track in ring.index.lives_of(web[:3])] == [0, 2, 4]


@pytest.mark.parametrize("recorded", [-1, 10**15, None])
def test_a_time_that_a_runtime_cannot_have_recorded_is_not_believed(recorded: int | None) -> None:
    ring, web = Ring(100, 10), life(1)
    ring.add(0, taken(0, {}), 0)
    ring.add(1, taken(1, {web: sample(1)})._replace(listed={web: (NOBODY, recorded)}), 0)
    [track] = ring.tracks()
    assert track.marks[0].time_ms == 10_000


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
