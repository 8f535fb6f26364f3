"""What is kept of a container's labels; in one piece they say what a dict says."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cgstatd.host.runtimes.budget import weigh
from cgstatd.host.runtimes.labels import MOST_BYTES, WHOLE_BYTES, Labels, Wanted, cut
from cgstatd.host.runtimes.packed_labels import FEW, MOST_LABELS, MOST_VALUE, PackedLabels, packed
from often import often

PROJECT = "com.docker.compose.project"


def parse(labels: object, *named: str) -> Labels:
    return Wanted(named).parse(json.dumps(labels).encode())


def test_a_containers_labels() -> None:
    assert parse({"a": "b", PROJECT: "shop"}) == Labels({"a": "b", PROJECT: "shop"})
    assert parse(None) == parse({}) == Labels({})


def test_labels_are_so_many_and_so_many_bytes_at_most() -> None:
    for count in (MOST_LABELS, MOST_LABELS + 1):
        found = parse({f"{number}": "" for number in range(count)})
        assert len(found.kept) == MOST_LABELS and found.left_out is (count > MOST_LABELS)
    found = parse({f"{number:03}": "x" * 1000 for number in range(60)})
    assert 0.9 * MOST_BYTES < sum(len(k) + len(v) for k, v in found.kept.items()) <= MOST_BYTES and found.left_out


@pytest.mark.parametrize("count", [300, 8_000, 60_000])
def test_labels_that_are_wanted_are_kept_whatever_else_there_is(count: int) -> None:
    labels = {f"{number}": "x" for number in range(count)} | {PROJECT: "shop", "team": "blue"}
    assert (len(json.dumps(labels)) > WHOLE_BYTES) is (count > 300)
    found = parse(labels, "team")
    assert found.kept[PROJECT] == "shop" and found.kept["team"] == "blue" and found.left_out
    assert len(found.kept) <= MOST_LABELS


def test_a_long_value_is_left_out_or_cut_where_it_is_wanted() -> None:
    labels = {"a": "x" * 40_000, PROJECT: "y" * 20_000}
    assert parse(labels) == Labels({PROJECT: "y" * MOST_VALUE}, left_out=True)


def test_only_those_that_are_wanted() -> None:
    wanted = Wanted(["team"])
    assert wanted.only(Labels({"team": "blue", "a": "b"})) == Labels({"team": "blue"}, left_out=True)
    assert wanted.only(Labels({"team": "blue"})) == Labels({"team": "blue"})


@pytest.mark.parametrize("raw", [b"[]", b'{"a": 1}', b"5", b'"a"', b'{"com.docker.compose.project": 1}'])
@pytest.mark.parametrize("large", [False, True])
def test_labels_that_are_none_are_an_error(raw: bytes, large: bool) -> None:
    if large and raw == b'{"a": 1}':
        return  # of many labels those that nobody wants are not looked at
    with pytest.raises(ValueError, match=r"at `\$\.labels|got"):
        Wanted().parse(raw + b" " * (WHOLE_BYTES if large else 0), "$.labels")


def test_a_text_is_cut_where_it_is_not_shown_any_more() -> None:
    assert cut(None) is None
    assert cut("a" * 256) == "a" * 256 and cut("a" * 257) == "a" * 256


# -- in one piece

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=often(100))
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
