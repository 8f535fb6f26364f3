"""What a client that comes back is told."""

from __future__ import annotations

import pytest

from cgstatd.feed.follow import sent_events
from cgstatd.feed.follow.sent_events import Ring


def filled() -> Ring:
    """1: a change, 2: a figure of interval 4, 3: one of interval 8, 4: a change."""
    made = Ring("ab")
    for steps, data in ((0, b"one"), (4, b"two"), (8, b"three"), (0, b"four")):
        assert made.next_id() == f"ab-{made.number}".encode()
        made.add(steps, data)
    return made


def test_everything_since_an_id_of_ones_own_interval_and_everybodys_in_order() -> None:
    made = filled()
    assert made.number == 4
    assert made.since(0, 4) == [b"one", b"two", b"four"]
    assert made.since(1, 8) == [b"three", b"four"]
    assert made.since(4, 4) == []


def test_an_id_that_was_given_is_known_and_one_of_another_run_or_of_nonsense_is_of_no_use() -> None:
    made = filled()
    assert [made.number_of(f"ab-{number}") for number in (0, 2, 4)] == [0, 2, 4]
    useless = ("ab-5", "cd-2", "", "ab-", "ab-x", "ab-2\n", "ab--1")
    assert [text for text in useless if made.number_of(text) is not None] == []


def test_an_id_before_the_oldest_change_that_is_held_is_of_no_use() -> None:
    made = Ring("ab")
    for _ in range(sent_events.CHANGES + 1):
        made.next_id()
        made.add(0, b"x")
    assert made.number_of("ab-0") is None
    assert made.number_of("ab-1") == 1
    assert len(made.since(1, 4)) == sent_events.CHANGES


def test_changes_are_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_events, "CHANGES_BYTES", 10)
    made = Ring("ab")
    for _ in range(5):
        made.next_id()
        made.add(0, b"1234")
    assert made.number_of("ab-2") is None  # the third is not held any more
    assert made.number_of("ab-3") == 3
    assert made.since(3, 4) == [b"1234"] * 2


def test_figures_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_events, "STATS_BYTES", 10)
    made = Ring("ab")
    for _ in range(100):
        made.next_id()
        made.add(4, b"1234")
    assert made.since(0, 4) == [b"1234"] * 2
