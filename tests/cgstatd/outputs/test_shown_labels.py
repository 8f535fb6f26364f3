"""Labels in an answer: as JSON they are what they are as a dict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from cgstatd.basics.text import printable
from cgstatd.host.runtimes.base import Metadata
from cgstatd.host.runtimes.packed_labels import FEW, MOST_LABELS, MOST_VALUE, PackedLabels, packed
from cgstatd.outputs.shown_labels import ShownLabels, encode_with_labels, shown_labels

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=20)
ADDED = some.dictionaries(some.sampled_from(["name", "image", "cgstatd.owner"]), TEXTS.map(printable))
MANY = {f"org.example.{number}": "x" * 20 for number in range(MOST_LABELS)}


def of(labels: Mapping[str, str]) -> Metadata:
    return Metadata("docker", "ab" * 32, "web", labels=labels)


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(pairs) == len(dict(pairs)), pairs
    return dict(pairs)


@given(some.dictionaries(TEXTS | some.sampled_from(["name", "image"]), TEXTS, max_size=40), ADDED)
@example({"a": '"name"', "name": "mine", 'a"name"': "b"}, {"name": "ours"})
@example({"a\x00": "b", "a\x01": "c\n"}, {})
@example({}, {"name": "ours"})
def test_as_json_they_are_what_they_are_as_a_dict(labels: dict[str, str], added: dict[str, str]) -> None:
    few, many = shown_labels(of(labels), added), shown_labels(of(PackedLabels(labels, ())), added)
    assert isinstance(few, dict) and isinstance(many, ShownLabels)
    assert json.loads(encode_with_labels({"Labels": many}), object_pairs_hook=each_key_once) == {"Labels": few}
    assert (dict(many), dict(many.items()), list(many), len(many)) == (few, few, list(few), len(few)) and many == few
    assert all(key in many and many[key] == value for key, value in few.items()) and "not there" not in many
    assert all(text == printable(text, MOST_VALUE) for pair in few.items() for text in pair)


def test_they_are_bounded() -> None:
    assert shown_labels(None) == {} and shown_labels(of({})) == {} and shown_labels(None, {"a": "b"}) == {"a": "b"}
    found = shown_labels(of(PackedLabels(MANY | {"one": "more"}, ())))
    assert len(found) == MOST_LABELS and "one" not in found
    (long,) = shown_labels(of(PackedLabels({"k" * 300: "v" * 5000}, ()))).items()
    assert long == ("k" * 256, "v" * MOST_VALUE)


def test_what_is_kept_is_what_is_sent() -> None:
    found = packed(MANY)
    assert isinstance(found, PackedLabels) and found.json is found.json
    shown = shown_labels(of(found))
    assert isinstance(shown, ShownLabels) and shown.json() is found.json
    assert packed(dict(list(MANY.items())[:FEW])) == dict(list(MANY.items())[:FEW])


def test_nothing_else_is_made_json() -> None:
    with pytest.raises(NotImplementedError, match="no JSON is made of complex"):
        encode_with_labels({"a": 1j})
