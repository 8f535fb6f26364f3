"""Short jobs go before long ones, and each kind gets its half of the time."""

from __future__ import annotations

from collections import Counter

from cgstatd.feed.job_line import TURN_SECONDS, JobLine


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(clock: Clock, *jobs: str) -> JobLine[str]:
    line: JobLine[str] = JobLine(lambda job: job.startswith("long"), clock)
    for job in jobs:
        line.put(job)
    return line


def test_jobs_of_a_kind_are_taken_in_their_order_the_short_ones_first() -> None:
    line = lines(Clock(), "long 1", "short 1", "long 2", "short 2")
    assert [line.get() for _ in range(4)] == ["short 1", "short 2", "long 1", "long 2"]
    line.put("short 3")
    line.put(None)
    assert [line.get(), line.get()] == ["short 3", None], "the end is taken after the short ones"


def test_a_long_job_gives_way_after_its_turn_and_goes_on_before_the_others_of_its_kind() -> None:
    clock = Clock()
    line = lines(clock, "long 1", "long 2")
    first = line.get()
    assert first == "long 1" and not line.gives_way()
    clock.now += TURN_SECONDS
    assert not line.gives_way(), "no short job waits"
    line.put("short")
    assert line.gives_way()
    line.put_back(first)
    assert [line.get() for _ in range(3)] == ["short", "long 1", "long 2"]


def test_a_long_job_has_its_turn_before_it_gives_way() -> None:
    clock = Clock()
    line = lines(clock, "long 1")
    line.get()
    line.put("short")
    assert not line.gives_way()


def test_however_many_short_jobs_come_long_ones_get_half_of_the_time() -> None:
    clock, spent = Clock(), Counter[str]()
    line = lines(clock, "long 1")
    for _ in range(2_000):
        line.put("short")  # each time before the next is taken
        job = line.get()
        assert job is not None
        kind, took = job.split()[0], 0.003
        while True:  # a long one: item after item
            clock.now += took
            spent[kind] += 1
            if kind == "short" or line.gives_way():
                break
        if kind == "long":
            line.put_back(job)
    assert 0.4 < spent["long"] / spent.total() < 0.6, spent
