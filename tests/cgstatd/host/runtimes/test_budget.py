"""What the users have together, and what a value weighs."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any
from weakref import WeakValueDictionary

import pytest

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.host.runtimes.budget import USER, Budget, Kept, Share, weigh
from cgstatd.host.runtimes.labels import Labels
from cgstatd.host.runtimes.libpod import LibpodContainer
from sidebyside import side_by_side

MIB = 1 << 20


def kept(size: int, now_ns: int = 0) -> Kept:
    return Kept("/real", (0, 0, 0, 0, 0), None, 0, 0, size, now_ns)


def test_a_greedy_user_gives_way_to_one_who_has_less() -> None:
    budget = Budget(user=USER._replace(kept=4 * MIB), users_bytes=6 * MIB)
    greedy, other, modest = (budget.shelf(uid) for uid in (1000, 1001, 1002))
    for shelf in (greedy, other):
        for number in range(3):
            assert shelf.put(f"/{number}", kept(MIB))
    assert modest.put("/1", kept(MIB)) and modest.put("/2", kept(MIB))
    assert [shelf.bytes for shelf in (greedy, other, modest)] == [2 * MIB] * 3
    assert not modest.put("/3", kept(MIB))  # no user has more than this one would
    assert not greedy.put("/9", kept(MIB))


def test_what_is_kept_no_more_is_room_for_others_and_the_systems_does_not_count_for_the_users() -> None:
    budget = Budget(system=Share(8 * MIB, 1, 1), user=USER._replace(kept=4 * MIB), users_bytes=4 * MIB)
    system, gone, other = (budget.shelf(uid) for uid in (0, 1000, 1001))
    assert system.put("/a", kept(8 * MIB)) and not system.put("/c", kept(1))
    for number in range(2):
        assert gone.put(f"/{number}", kept(MIB)) and other.put(f"/{number}", kept(MIB))
    del gone
    for number in range(2, 4):
        assert other.put(f"/{number}", kept(MIB))
    assert other.bytes == 4 * MIB and budget.shelf(1000).bytes == 0
    for number in range(4):
        other.drop(f"/{number}")
    assert other.bytes == 0 and budget.shelf(1000).put("/all", kept(4 * MIB))


def test_thousands_of_users_are_not_added_up_for_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    shelves = [budget.shelf(uid) for uid in range(1000, 4000)]
    looked: list[int] = []
    real = budget._shelves.__class__.__iter__

    def noted(self: Any, *_: Any) -> Any:
        looked.append(1)
        return real(self)

    for method in ("items", "values", "__iter__"):
        monkeypatch.setattr(WeakValueDictionary, method, noted)
    for shelf in shelves:
        assert shelf.put("/1", kept(1000))
    assert not looked and budget._together == 3000 * 1000


def test_threads_that_read_files_side_by_side_keep_the_count() -> None:
    """One that was left behind with a slow reading goes on beside the next. An answer was 500: "OrderedDict mutated
    during iteration"."""
    budget = Budget(user=USER._replace(kept=300 * 1000, burst=1, rate=1), users_bytes=500 * 1000)
    shelf, other = budget.shelf(1000), budget.shelf(1001)

    def read(number: int) -> None:
        for path in (f"/{number % 400}", f"/{number * 7 % 400}"):
            if shelf.get(path, number) is None:
                shelf.put(path, kept(1000, number))

    def look(number: int) -> None:
        shelf.sweep(number * 2_000_000_000, lambda each: number % 3 == 0, short=True)

    def ask(number: int) -> None:
        budget.shelf(2000 + number)
        other.put(f"/{number % 300}", kept(1000, number))

    side_by_side(read, read, look, ask, times=10_000)
    for each in (shelf, other):
        left = 0
        while each.give_way():
            left += 1
        assert each.bytes == 0, left


def test_other_labels_are_another_round_the_same_ones_are_not() -> None:
    budget = Budget(["a"])
    budget.want(["a"])
    assert budget.round == 0
    budget.want(["a", "b"])
    assert budget.round == 1 and {"a", "b"} < set(budget.wanted.keys)


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_a_record_weighs_what_its_strings_do(count: int) -> None:
    labels = {f"{number:06}": "x" * 50 for number in range(count)}
    strings = sum(sys.getsizeof(key) + sys.getsizeof(value) for key, value in labels.items())
    metadata = Metadata("docker", "a" * 64, "web", labels=labels, state=State.RUNNING)
    weight = weigh(Identity("a" * 64, "web", "docker", 0, metadata))
    assert strings + sys.getsizeof(labels) < weight < strings + sys.getsizeof(labels) + 2_000
    assert weigh(Labels(labels)) > strings


def test_what_a_record_has_from_the_one_it_is_made_from_weighs_too() -> None:
    unknown: Any = dict.fromkeys(field.name for field in fields(LibpodContainer))
    texts = {"name": "x" * 100_000, "image": "y" * 100_000, "pod": "z" * 100_000}
    assert (
        300_000 < weigh(LibpodContainer(**unknown | texts | {"labels": Labels({}), "state": State.RUNNING})) < 302_000
    )
