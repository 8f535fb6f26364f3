"""Labels in one piece say what a dict says."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cgstatd.host.runtimes.budget import weigh
from cgstatd.host.runtimes.labels import Wanted
from cgstatd.host.runtimes.packed_labels import FEW, MOST_LABELS, PackedLabels, packed

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=20)


@given(some.dictionaries(TEXTS, TEXTS, max_size=40), some.lists(TEXTS, max_size=5), TEXTS)
def test_they_are_read_as_a_dict_is(labels: dict[str, str], at_hand: list[str], other: str) -> None:
    found = PackedLabels(labels, [*at_hand, *list(labels)[:3]])
    assert (dict(found), list(found), len(found), list(found.items())) == (
        labels, list(labels), len(labels), list(labels.items()),
    )  # fmt: skip
    for key in (*labels, *at_hand, other):
        assert found.get(key) == labels.get(key) and found.get(key, "none") == labels.get(key, "none")
        assert (key in found) is (key in labels)
    assert found == labels == found and found == PackedLabels(labels, ()) and bool(found) is bool(labels)
    assert found != labels | {other: "another"} or labels.get(other) == "another"
    five: object = 5
    assert None not in found and found != five


def test_one_that_is_not_there_is_an_error_as_a_dicts_is() -> None:
    found = PackedLabels({"a": "b"}, ["c"])
    for key in ("c", "d"):
        with pytest.raises(KeyError, match=key):
            found[key]
    with pytest.raises(TypeError, match="unhashable"):
        hash(found)


def test_few_labels_stay_as_they_are_and_many_weigh_less() -> None:
    few: Mapping[str, str] = {f"{number}": "x" for number in range(FEW)}
    assert packed(few) is few
    many = {f"org.example.{number}": "x" * 20 for number in range(MOST_LABELS)}
    found = Wanted().parse(json.dumps(many).encode()).kept
    assert isinstance(found, PackedLabels) and weigh(found) < weigh(many) / 2.5
