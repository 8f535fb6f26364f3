"""Waits of containers as marks: one when they begin, one when they are over, and no more than that."""

from __future__ import annotations

from cgstatd.feed.history.marks import Mark, Wait, mark_of, stored
from cgstatd.feed.history.waits import FOREVER_NS, MOST, TOGETHER_SECONDS, Waits
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.pressure.found import Found, Waiting

WEB, DB = (Life(0, "docker", name * 32, number) for number, name in enumerate(("we", "db")))
CPU, DISK = Waiting(WEB, "cpu", "own_limit"), Waiting(DB, "io", "neighbours")


def looked(waits: Waits, second: float, *found: Waiting, valid: float = 15.5) -> list[Mark]:
    marks = waits.looked(Found([(each, None) for each in found], 1.5, valid, int(second * 1e9), int(second * 1000)))
    return [mark for _, mark in marks]


def test_what_is_found_again_within_a_minute_is_the_same_wait() -> None:
    waits = Waits()
    assert looked(waits, 10, CPU) == [Mark("pressure", 10_000, wait=Wait("cpu", "own_limit"))]
    assert looked(waits, 40, DISK) == [Mark("pressure", 40_000, wait=Wait("io", "neighbours"))]
    assert looked(waits, 10 + TOGETHER_SECONDS, CPU) == []
    over = 10 + 2 * TOGETHER_SECONDS
    found = [(life, mark.time_ms, mark.wait) for life, mark in waits.expired(int(over * 1e9))]
    assert found == [(DB, 40_000, Wait("io", "neighbours", 1.5))]
    found = [(life, mark.time_ms, mark.wait) for life, mark in waits.expired(int((over + 1) * 1e9))]
    assert found == [(WEB, 70_000, Wait("cpu", "own_limit", 61.5))]
    assert list(waits.expired(FOREVER_NS)) == []


def test_a_wait_goes_on_until_the_next_look_could_have_found_it() -> None:
    waits = Waits()
    looked(waits, 10, CPU, valid=300)
    assert list(waits.expired(200 * 10**9)) == []
    assert looked(waits, 250, CPU) == []
    begun = looked(waits, 400, CPU)
    assert [mark.wait for mark in begun] == [Wait("cpu", "own_limit", 241.5), Wait("cpu", "own_limit")]


def test_another_cause_is_another_wait() -> None:
    waits = Waits()
    looked(waits, 10, CPU)
    assert [mark.wait for mark in looked(waits, 20, CPU._replace(cause="neighbours"))] == [Wait("cpu", "neighbours")]


def test_the_end_of_a_wait_says_the_limit_and_how_much_it_throttled_at_most() -> None:
    waits, quota = Waits(), CPU._replace(limit="cpu.max")
    for second, throttled in ((10, 0.5), (20, 0.98), (30, 0.7)):
        found = list(waits.looked(Found([(quota, throttled)], 1.5, 15.5, second * 10**9, second * 1000)))
        assert [mark.wait for _, mark in found] == [Wait("cpu", "own_limit", None, "cpu.max", 50.0)] * (second == 10)
    assert [mark.wait for _, mark in waits.expired(FOREVER_NS)] == [Wait("cpu", "own_limit", 21.5, "cpu.max", 98.0)]


def test_no_more_than_a_number_of_waits_are_kept() -> None:
    waits = Waits()
    many = [Waiting(Life(0, "docker", "x", number), "cpu", "itself") for number in range(MOST + 5)]
    assert len(looked(waits, 10, *many)) == MOST
    assert len(list(waits.expired(FOREVER_NS))) == MOST


def test_marks_come_back_from_their_rows() -> None:
    wait = Wait("io", "itself", 2.5, "io.max rbps", 1.5)
    for mark in (
        Mark("pressure", 5, wait=wait), Mark("exit", 6, None, 137, True, 9, False), Mark("health", 7, health="healthy")
    ):  # fmt: skip
        assert mark_of(stored(mark)) == mark
