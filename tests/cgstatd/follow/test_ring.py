"""What a client that comes back is told."""

from __future__ import annotations

import pytest

from cgstatd.follow import ring
from cgstatd.follow.ring import Ring


def filled() -> Ring:
    """1: a change, 2: a figure of interval 4, 3: one of interval 8, 4: a change."""
    made = Ring("ab")
    for steps, data in ((0, b"one"), (4, b"two"), (8, b"three"), (0, b"four")):
        assert made.next_id() == f"ab-{made.number}".encode()
        made.add(steps, data)
    return made


def test_ids_count_up() -> None:
    assert filled().number == 4


def test_everything_since_an_id_of_ones_own_interval_and_everybodys_in_order() -> None:
    made = filled()
    assert made.since(0, 4) == [b"one", b"two", b"four"]
    assert made.since(1, 8) == [b"three", b"four"]
    assert made.since(4, 4) == []


@pytest.mark.parametrize(("text", "number"), [("ab-2", 2), ("ab-0", 0), ("ab-5", None), ("cd-2", None), ("", None),
                                              ("ab-", None), ("ab-x", None), ("ab-2\n", None), ("ab--1", None)])  # fmt: skip
def test_an_id_of_another_run_or_of_nonsense_is_of_no_use(text: str, number: int | None) -> None:
    assert filled().number_of(text) == number


def test_an_id_before_the_oldest_change_that_is_held_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Ring("ab")
    for _ in range(ring.CHANGES + 1):
        made.next_id()
        made.add(0, b"x")
    assert made.number_of("ab-0") is None
    assert made.number_of("ab-1") == 1
    assert len(made.since(1, 4)) == ring.CHANGES


def test_figures_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "STATS_BYTES", 10)
    made = Ring("ab")
    for _ in range(100):
        made.next_id()
        made.add(4, b"1234")
    assert made.since(0, 4) == [b"1234"] * 2
