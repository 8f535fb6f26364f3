"""One notification a minute of each type and workload."""

from __future__ import annotations

from cgstatd.notify.coalescing import APART_SECONDS, KEPT, Coalescing
from cgstatd.notify.waiting import AT_ONCE, DELIVERED, DROPPED, EXPIRED, MOST, MOST_SECONDS, Waiting
from cgstatd.outputs.notification_json import Notification


def note(name: str = "web", kind: str = "exit", code: int = 1, count: int = 1) -> Notification:
    return Notification(
        type=kind, text="", timestamp=0, id=name, name=name, workload=f"lxc:{name}", runtime="lxc", owner_uid=0,
        reason="Error", exit_code=code, count=count,
    )  # fmt: skip


def test_the_first_goes_at_once_and_the_latest_of_the_others_after_a_minute() -> None:
    those = Coalescing()
    assert those.take(note(code=1), 100) == [note(code=1)]
    for code in range(2, 12):
        assert those.take(note(code=code), 101) == []
    assert those.due(100 + APART_SECONDS - 1) == []
    assert those.next_due == 100 + APART_SECONDS
    assert those.due(100 + APART_SECONDS) == [note(code=11, count=10)]
    assert those.take(note(code=12), 101 + APART_SECONDS) == []  # that one began another minute
    assert those.due(100 + 2 * APART_SECONDS) == [note(code=12)]
    assert those.due(100 + 3 * APART_SECONDS) == []
    assert those.next_due is None
    assert those.take(note(), 100 + 3 * APART_SECONDS) == [note()]


def test_another_workload_or_another_type_has_its_own_minute() -> None:
    those = Coalescing()
    told = [those.take(each, 0) for each in (note("a"), note("b"), note("a", "oom"), note("a"))]
    assert [len(each) for each in told] == [1, 1, 1, 0]


def test_what_is_remembered_is_bounded_and_nothing_of_it_is_lost() -> None:
    those = Coalescing()
    those.take(note("first"), 0)
    those.take(note("first", code=2), 0)
    told = [each for n in range(KEPT) for each in those.take(note(str(n)), 1)]
    assert len(told) == KEPT + 1 and note("first", code=2) in told


def test_the_queue_is_bounded_and_counts_what_it_loses() -> None:
    queue = Waiting()
    for n in range(MOST + 7):
        queue.put(note(str(n), count=2), 0)
    assert len(queue) == MOST and queue.lost == queue.outcomes[DROPPED] == 14
    those = queue.take(0)
    assert len(those) == AT_ONCE and those[0][1].name == "7"
    for n in range(AT_ONCE):
        queue.put(note(f"new{n}"), 0)
    queue.again(those)
    assert len(queue) == MOST and queue.lost == 14 + 2 * AT_ONCE  # the oldest give way
    queue.done(queue.take(0), DELIVERED)
    assert queue.outcomes[DELIVERED] == 2 * AT_ONCE
    queue.clear()
    assert len(queue) == 0


def test_what_could_not_be_delivered_for_an_hour_is_lost() -> None:
    queue = Waiting()
    queue.put(note("old"), 0)
    queue.put(note("new"), 10)
    assert [each.name for _, each in queue.take(MOST_SECONDS + 1)] == ["new"]
    assert queue.outcomes[EXPIRED] == 1
