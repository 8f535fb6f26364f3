"""Memory keeps every counter as it was, within its rounds and its bytes, whatever containers come and go."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgroupfs import Vitals
from cgstatd.feed.history.disk_model import Run, State
from cgstatd.feed.history.memory import MOST_DEAD, Memory
from cgstatd.feed.history.rows import Everyone, Source, samples_of
from cgstatd.feed.history.schema import BLOCK, MOST
from cgstatd.feed.history.spans import Timeline
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata
from cgstatd.host.runtimes.base import State as Runs
from cgstatd.sampling.history_model import ContainerSample, Life
from cgstatd.sampling.history_work import Clocks
from cgstatd.sampling.round import Changes, Ended, Killed
from kepthistory import life, sample, taken

KEPT = ("lives", "samples", "marks")
TIMELINE = Timeline.of(State(), Run(0, "", "", 10.0, 0), None, Clocks(0, 0, 0))


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


def source(memory: Memory) -> Source:
    return Source(memory.reader(), 0, 0, 1)


def marks(memory: Memory) -> list[tuple[str, int, int, int | None]]:
    """(event, round, second, exit code) of each life, the first first."""
    part = source(memory).read(0, memory.last, Everyone())
    told = [(key, mark) for each in part.lives for key, mark in part.marks.get(each.id, [])]
    return [(mark.event, key, mark.time_ms // 1000, mark.exit_code) for key, mark in told]


def lives(memory: Memory) -> list[tuple[Life, int | None, int | None]]:
    return [(each.life, each.first, each.last) for each in source(memory).lives(0, memory.last, Everyone())]


def rows(memory: Memory, which: Life) -> list[tuple[int, ContainerSample]]:
    span = TIMELINE.span(source(memory).read(memory.first, memory.last, which[:3]))
    return [each for lived in span.lives for each in lived.samples]


def gone(memory: Memory) -> bool:
    """Whether nothing is left of any life."""
    tables = {table: memory.reader().execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in KEPT}
    return not any(tables.values()) and not memory._unexplained and not memory.living and not memory._owned


def stored(memory: Memory) -> int:
    """Rows of samples."""
    found: int = memory.reader().execute("SELECT count(*) FROM samples").fetchone()[0]
    return found


# -- rounds


def test_counters_are_kept_for_so_many_rounds_and_no_longer() -> None:
    memory, web = Memory(100, 10), life(1)
    for number in range(500):
        memory.add(number, taken(number, {web: sample(number, usage=7 * number)}), 0)
    assert (memory.first, memory.last) == (400, 499)
    found = rows(memory, web)
    assert found[0][0] == 400 and found[-1] == (499, sample(499, usage=7 * 499))
    assert stored(memory) <= 100 + 2 * BLOCK


def test_a_dead_container_stays_until_it_ages_out() -> None:
    memory, web = Memory(100, 10), life(1)
    memory.add(0, taken(0, {}), 0)
    memory.hear(begun(web), 7_000)
    for number in range(1, 11):
        memory.add(number, taken(number, {web: sample(number)}), 0)
    memory.add(11, taken(11, {}, [web]), 0)
    memory.hear(end(web, 3), 111_500)  # it was held back until its runtime had written it
    assert marks(memory) == [("start", 1, 7, None), ("exit", 12, 111, 3)], (
        "the exit is told by the round that is to come"
    )
    for number in range(12, 112):
        memory.add(number, taken(number, {}), 0)
    assert len(rows(memory, web)) == 0 and web not in memory.living and lives(memory) == [(web, 1, 10)]
    for number in range(112, 112 + 2 * BLOCK):
        memory.add(number, taken(number, {}), 0)
    assert gone(memory)


def test_lives_that_no_round_has_seen_have_their_marks_in_order_and_take_no_row() -> None:
    """One-second lives, and one that was killed for want of memory: under a restart policy, between two rounds."""
    memory, first, second, third = Memory(100, 10), life(1)._replace(inode=1), life(1)._replace(inode=2), life(1)
    memory.add(0, taken(0, {}), 0)
    memory.hear(begun(first), 1_000)
    memory.hear(end(first, 1, noticed=2.0), 2_100)
    memory.hear(begun(second), 3_000)
    memory.hear(end(second, 137, finished_seconds=4.0, state=Runs.RESTARTING), 4_300)
    memory.hear(begun(third), 4_800)
    memory.add(3, taken(3, {third: sample(3)}), 0)  # points 1 and 2 had no round
    assert marks(memory) == [
        ("start", 3, 1, None), ("exit", 3, 2, 1), ("start", 3, 3, None), ("oom", 3, 4, None), ("exit", 3, 4, 137),
        ("start", 3, 4, None),
    ]  # fmt: skip
    assert lives(memory) == [(first, None, None), (second, None, None), (third, 3, None)] and stored(memory) == 1
    part = source(memory).read(3, 3, Everyone())
    assert [mark.restarting for _, mark in part.marks[part.lives[1].id]] == [None, None, True]


def test_a_life_that_a_round_lists_after_its_end_was_told_has_one_end() -> None:
    """The round was being read meanwhile."""
    memory, web = Memory(100, 10), life(1)
    memory.add(0, taken(0, {web: sample(0)}), 0)
    memory.hear(end(web, 1), 9_000)
    memory.add(1, taken(1, {web: sample(1)}), 0)
    memory.add(2, taken(2, {}, [web]), 0)
    assert marks(memory) == [("exit", 1, 9, 1)] and [row[0] for row in rows(memory, web)] == [0, 1]
    assert not memory.living and not memory._unexplained


def test_a_start_that_no_round_follows_is_forgotten_in_time() -> None:
    memory = Memory(3, 10)
    memory.add(0, taken(0, {}), 0)
    memory.hear(begun(life(1)), 5_000)
    memory.add(1, taken(1, {}), 0)
    assert memory.living, "its listing may have been before"
    for number in range(2, 3 + 2 * BLOCK):
        memory.add(number, taken(number, {}), 0)
    assert gone(memory)


def test_an_end_is_not_later_than_the_start_behind_it_nor_earlier_than_its_own() -> None:
    memory, first, second = Memory(100, 10), life(1)._replace(inode=1), life(1)
    memory.add(0, taken(0, {first: sample(0)}), 0)
    found = begun(second)
    found.started = [identity(second)._replace(metadata=Metadata("docker", second.id, "web", started_seconds=6.0))]
    found.ended = end(first, None).ended
    memory.hear(found, 8_000)
    memory.hear(end(second, 0, finished_seconds=5.0), 9_000)  # a clock that was set
    memory.add(1, taken(1, {}, [first]), 0)
    assert marks(memory) == [("exit", 1, 6, None), ("start", 1, 6, None), ("exit", 1, 6, 0)]


def test_kills_of_one_that_lives_on_are_marks() -> None:
    memory, web = Memory(100, 10), life(1)
    memory.add(0, taken(0, {web: sample(0)}), 0)
    memory.hear(Changes(killed=[Killed(identity(web), 3, 8, Vitals(1, 8, 1), None, web)]), 4_000)
    memory.add(1, taken(1, {web: sample(1)}), 0)
    [[(key, mark)]] = source(memory).read(0, 1, Everyone()).marks.values()
    assert (mark.event, key, mark.kills) == ("oom", 1, 3)


def test_a_restart_is_another_life_even_with_the_inode_of_the_one_before() -> None:
    memory, web = Memory(100, 10), life(1)
    memory.add(0, taken(0, {web: sample(0)}), 0)
    for number in (1, 3):
        memory.add(number, taken(number, {}, [web]), 0)
        memory.add(number + 1, taken(number + 1, {web: sample(number + 1)}), 0)
    assert [first for _, first, _ in lives(memory)] == [0, 2, 4]


@pytest.mark.parametrize("recorded", [-1.0, 1e12, None])
def test_a_time_that_a_runtime_cannot_have_recorded_is_not_believed(recorded: float | None) -> None:
    memory, web = Memory(100, 10), life(1)
    memory.add(0, taken(0, {}), 0)
    found = begun(web)
    found.started = [identity(web)._replace(metadata=Metadata("docker", web.id, "web", started_seconds=recorded))]
    memory.hear(found, 10_000)
    memory.hear(end(web, 0, finished_seconds=recorded), 11_000)
    assert marks(memory) == [("start", 1, 10, None), ("exit", 1, 11, 0)]


# -- its bytes


def churn(memory: Memory, rounds: int, each_round: int, owner: int = 0, more: dict[Life, int] | None = None) -> None:
    """So many new containers a round, which live for that round."""
    numbers, before = iter(range(1_000_000, 9_000_000)), list[Life]()
    for number in range(rounds):
        new = [life(next(numbers), owner) for _ in range(each_round)]
        living = {each: sample(number, usage=random.getrandbits(60)) for each in [*new, *(more or {})]}
        memory.add(number, taken(number, living, before), 0)
        before = new


def test_thousands_of_short_lived_containers_do_not_make_it_grow() -> None:
    memory = Memory(360, 10, budget=1 << 20)
    churn(memory, 100, 100)
    assert memory.used <= memory.budget and 0 < memory.incomplete < memory.last
    complete = [bool(each.complete) for each in source(memory).rounds(0, memory.last)]
    assert complete == [number > memory.incomplete for number in range(100)]


def test_short_lives_that_no_round_has_seen_do_not_make_it_grow_between_two_rounds() -> None:
    memory = Memory(360, 10, budget=1 << 20)
    memory.add(0, taken(0, {}), 0)
    for number in range(5_000):
        memory.hear(begun(life(number, 1000)), 5_000)
        memory.hear(end(life(number, 1000)), 5_000)
        assert memory.used <= memory.budget


def test_the_dead_are_no_more_than_a_number_and_who_has_most_of_them_loses_the_oldest() -> None:
    memory, web = Memory(360, 10), life(1)
    memory.add(0, taken(0, {web: sample(0)}), 0)
    memory.hear(end(web), 5_000)
    for number in range(2, MOST_DEAD + 102):
        memory.hear(begun(life(number, 1000)), 5_000)
        memory.hear(end(life(number, 1000)), 5_000)
    ended = {each for each, *_ in lives(memory)}
    assert len(ended) <= MOST_DEAD + 1  # the next round buries the one that the last one listed
    assert {web, life(MOST_DEAD + 101, 1000)} <= ended and life(2, 1000) not in ended
    assert memory.used < 8 << 20


def test_the_owner_with_the_most_gives_way_and_the_others_keep_all() -> None:
    memory, web = Memory(360, 10, budget=1 << 20), life(1)
    churn(memory, 100, 100, owner=1000, more={web: 0})
    assert len(rows(memory, web)) == 100


def test_so_many_living_containers_that_nothing_fits_are_shortened_and_stay() -> None:
    memory = Memory(360, 10, budget=400_000)
    living = [life(number) for number in range(60)]
    for number in range(100):
        values = {each: sample(number, usage=random.getrandbits(60)) for each in living}
        memory.add(number, taken(number, values), 0)
    assert len(lives(memory)) == 60 and memory.incomplete > 0 and memory.used <= memory.budget
    assert len(rows(memory, living[0])) >= BLOCK, "the latest are kept"


@pytest.mark.parametrize(("busy", "most_bytes", "most_rows"), [(True, 6_000_000, 39_000), (False, 600_000, 1_300)])
def test_an_hour_of_a_hundred_containers_takes_so_much(busy: bool, most_bytes: int, most_rows: int) -> None:
    memory = Memory(360, 10)
    living = [life(number) for number in range(100)]
    for number in range(361):
        usage = (10**13 + number * 10**9) if busy else 10**13
        memory.add(number, taken(number, {each: sample(number, usage=usage) for each in living}), 0)
    assert memory.used < most_bytes and stored(memory) <= most_rows


def test_a_life_that_was_dropped_between_two_rounds_holds_up_no_round() -> None:
    """The round that its marks waited for is not the next one of the grid."""
    memory, web = Memory(100, 10, budget=1), life(1)
    memory.add(0, taken(0, {}), 0)
    memory.hear(begun(web), 10_000)
    memory.hear(end(web, 0), 11_000)
    assert gone(memory)
    for number in (3, 4):
        memory.add(number, taken(number, {}), 0)
    assert memory.last == 4 and gone(memory)


# -- what does not change takes no row


def test_a_row_holds_until_something_changes_and_its_last_clock_is_exact() -> None:
    memory, web = Memory(100, 10), life(1)
    for number, usage in enumerate((5, 5, 5, 5, 7, 7, 9)):
        memory.add(number, taken(number, {web: sample(number, usage=usage)}), 0)
    memory.add(7, taken(7, {}, [web]), 0)
    found = memory.reader().execute("SELECT round, cpu_usage_nsec FROM samples").fetchall()
    assert found == [(0, 5), (3, 5), (4, 7), (5, 7), (6, 9)]  # as it was before a change, and at a change
    clocks = {number: each.monotonic_ns for number, each in rows(memory, web)}
    assert all(clocks[number] == sample(number).monotonic_ns for number in (0, 3, 4, 5, 6))


def test_a_reader_neither_waits_for_the_writer_nor_holds_it_up() -> None:
    memory, living = Memory(5, 10), [life(number) for number in range(50)]
    for number in range(40):
        memory.add(number, taken(number, {each: sample(number, usage=number) for each in living}), 0)
    reading = memory.reader().execute("SELECT round FROM samples WHERE round >= 30 AND round < 40")
    found = [reading.fetchone()[0] for _ in range(100)]
    for number in range(40, 80):  # meanwhile what it has read is forgotten, too
        memory.add(number, taken(number, {each: sample(number, usage=number) for each in living}), 0)
    found += [number for (number,) in reading]
    assert memory.last == 79 and found == sorted(found) and set(found) <= set(range(30, 40))


@pytest.mark.parametrize("impossible", [MOST + 1, 1 << 80])
def test_what_no_kernel_counts_to_is_not_known(impossible: int) -> None:
    memory, web, db = Memory(100, 10), life(1), life(2)
    memory.add(0, taken(0, {web: sample(0, usage=impossible), db: sample(0, usage=1)}), 0)
    assert [rows(memory, each)[0][1].cpu_usage_nsec for each in (web, db)] == [None, 1]


state = st.sampled_from((None, -1, 0, 1, 2))
"""Of a container in a round: not there, not to be read, what it has used."""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), state, state, st.booleans()), min_size=1, max_size=80), st.integers(2, 40))
def test_it_says_of_every_round_what_a_list_of_them_would(story: list[tuple[int, Any, Any, bool]], kept: int) -> None:
    """Points are left out, containers come, go, cannot be read, are started again with the same inode."""
    memory, number, said, before = Memory(kept, 10), -1, dict[int, dict[str, ContainerSample]](), set[Life]()
    for skipped, web, db, again in story:
        number += skipped
        now, living = (number + again) * 10 * 10**9, dict[Life, ContainerSample | None]()
        for place, usage in ((1, web), (2, db)):
            if usage is not None:
                clock = now + place * 1_000
                read = ContainerSample._make((clock, 0, usage, *[place] * 11, clock + 1, None, *[None] * 8))
                living[life(place)] = None if usage < 0 else read
        if again:
            memory.add(number, taken(number, {}, list(before)), 0)
            said[number], before, number = {}, set(), number + 1
        memory.add(number, taken(number, living, list(before - living.keys())), 0)
        said[number] = {each.id: found for each, found in living.items() if found is not None}
        before = set(living)
    part = source(memory).read(memory.first, memory.last, Everyone())
    found = {
        each.key: {life.life.id: sample for life, sample in those}
        for each, those in samples_of(part, TIMELINE.last_listed(part))
    }
    assert found == {key: those for key, those in said.items() if key >= memory.first}
    for place in (1, 2):
        expected = [(key, those[life(place).id]) for key, those in said.items() if life(place).id in those]
        assert rows(memory, life(place)) == [pair for pair in expected if pair[0] >= memory.first]
