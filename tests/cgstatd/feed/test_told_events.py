"""The events that the Engine API keeps for clients that ask for the past, or read slowly: the latest, in a bound."""

from __future__ import annotations

import pytest

from cgstatd.feed.event_listener import WAITING, WAITING_BYTES, Listener
from cgstatd.feed.told_events import KEPT, KEPT_BYTES, ToldEvents
from cgstatd.outputs.engine.events import Event


def kept(*lines: bytes) -> list[int]:
    """The times of the events that are kept of those that were told one after the other."""
    told = ToldEvents()
    for time_ns, line in enumerate(lines):
        told.add(Event(time_ns, "die", "1" * 64, line))
    found, untold = told.with_recorded([])
    assert untold == [] and len(found) == len(told)
    return [each.time_ns for each in found]


def test_the_latest_are_kept_in_order() -> None:
    assert kept(*[b"{}"] * KEPT) == [*range(KEPT)]
    assert kept(*[b"{}"] * (KEPT + 3)) == [*range(3, KEPT + 3)]


def test_they_are_few_where_they_are_long() -> None:
    quarter = b"x" * (KEPT_BYTES // 4)
    assert kept(*[quarter] * 4) == [0, 1, 2, 3]
    assert kept(*[quarter] * 4, b"x") == [1, 2, 3, 4]
    assert kept(b"x", b"x" * KEPT_BYTES, b"x" * 9) == [2]


@pytest.mark.parametrize(("size", "most"), [(2, WAITING), (WAITING_BYTES // 4, 4), (WAITING_BYTES + 1, 1)])
async def test_a_client_that_reads_slowly_gets_the_latest(size: int, most: int) -> None:
    listener = Listener()
    for time_ns in range(most + 3):
        listener.put(Event(time_ns, "die", "1" * 64, b"x" * size))
    listener.end()
    assert [each.time_ns async for each in listener.events()] == [*range(3, most + 3)]
