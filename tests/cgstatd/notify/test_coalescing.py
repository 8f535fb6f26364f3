"""One notification a minute of each type and workload."""

from __future__ import annotations

from cgstatd.notify.coalescing import APART_SECONDS, KEPT, SHARE, Coalescing
from cgstatd.notify.waiting import AT_ONCE, DELIVERED, DROPPED, EXPIRED, MOST, MOST_SECONDS, Waiting
from cgstatd.outputs.notification_json import Notification


def note(
    name: str = "web", kind: str = "exit", code: int = 1, count: int = 1, uid: int = 0, when: int = 0
) -> Notification:
    return Notification(
        type=kind, text="", timestamp=when, id=name, name=name, workload=f"lxc:{name}", runtime="lxc", owner_uid=uid,
        reason="Error", exit_code=code, count=count,
    )  # fmt: skip


def test_the_first_goes_at_once_and_the_latest_of_the_others_after_a_minute() -> None:
    those = Coalescing()
    assert those.take(note(code=1), 100) == [note(code=1)]
    for code in range(2, 12):
        assert those.take(note(code=code), 101) == []
    assert those.due(100 + APART_SECONDS - 1) == []
    assert [those.next_due] == [100 + APART_SECONDS]
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
    those, apart = Coalescing(), SHARE - 2
    those.take(note("first"), 0)
    those.take(note("first", code=2), 0)
    told = [each for n in range(KEPT) for each in those.take(note(str(n), uid=n // apart), 1)]
    assert len(told) == KEPT + 1 and note("first", code=2) in told


def test_what_is_remembered_of_the_system_outlives_a_storm_of_a_user() -> None:
    those = Coalescing()
    those.take(note("first"), 0)
    for n in range(2 * KEPT):
        those.take(note(str(n), uid=1001), 0)
    assert those.take(note("first", code=2), 1) == []  # its minute still goes on


def test_what_is_beyond_an_owners_share_is_one_summary_a_minute() -> None:
    those = Coalescing()
    told = [each for n in range(620) for each in those.take(note(str(n), uid=1001, when=n), n / 100)]
    told += those.take(note("oom", "oom", count=3, uid=1001, when=700), 7)
    assert len(told) == SHARE and {each.type for each in told} == {"exit"}
    assert those.take(note("crash"), 8) == [note("crash")]
    assert those.next_due == APART_SECONDS
    [found] = those.due(APART_SECONDS)
    assert (found.type, found.count, found.owner_uid, found.timestamp) == ("summary", 523, 1001, 700)
    assert found.text == "523 more notifications of uid 1001 within a minute: 520 exit, 3 oom"
    assert found.id == "" and found.workload is None and found.reason is None
    assert those.take(note("next", uid=1001), APART_SECONDS + 1) == [note("next", uid=1001)]  # another minute
    assert [each for each in those.due(3 * APART_SECONDS) if each.type == "summary"] == []
    those.due(10 * APART_SECONDS)
    assert those.next_due is None


def test_the_queue_loses_those_of_the_owner_with_the_most() -> None:
    queue = Waiting()
    queue.put(note("crash"), 0)
    for n in range(620):
        queue.put(note(str(n), uid=1001), 1)
    assert len(queue) == MOST and queue.lost == 621 - MOST
    those = queue.take(2)
    assert [each.name for _, each in those[:2]] == ["crash", str(621 - MOST)]
    queue.put(note("more", uid=1002), 3)
    queue.again(those)
    names = [each.name for _, each in queue.all()]
    assert len(names) == MOST and names[0] == "crash" and names[-1] == "more"


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
