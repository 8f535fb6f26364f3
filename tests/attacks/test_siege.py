"""The siege takes up every attack, or says why not, and judges what the good client gets."""

from __future__ import annotations

import json

import pytest

from attacks import play, siege
from attacks.bounds import USUAL_WEIGHT, of_the_unit
from attacks.goodness import RAW, Answer, Asked, Judge, Result
from fakehost import container_id


def test_every_attack_is_in_the_siege_or_left_out_with_a_reason() -> None:
    those, left = siege.attackers()
    names = [attack.__name__ for stage in play.STAGES for attack in stage.attacks]
    assert sorted([each.name for each in those] + [each.partition(":")[0] for each in left]) == sorted(names)
    assert all(each.partition(": ")[2] for each in left)
    assert {each.name for each in those if each.plants} >= {"links", "crowd", "forged_by_a_user"}


def test_the_bounds_are_those_of_the_unit() -> None:
    assert of_the_unit("MemoryMax") == 256 << 20
    assert of_the_unit("CPUWeight", USUAL_WEIGHT) == USUAL_WEIGHT, "on a busy host a smaller one blinds it"


def rows(*names: str, raw: int = RAW) -> list[dict[str, object]]:
    return [{"id": container_id(name), "memoryRaw": raw} for name in names]


@pytest.mark.parametrize(
    ("what", "body", "wrong"),
    [
        ("array", json.dumps(rows("c1", "c16")), ""),
        ("array", json.dumps(rows("c1", "c16", "attacker")), ""),
        ("array", json.dumps(rows("c16")), "1 containers"),
        ("array", json.dumps(rows("c1", "c16", raw=0)), "2 containers"),
        ("list", json.dumps(rows("c1", "c16")), ""),
        ("list", "[]", "2 containers"),
        ("one", json.dumps({"memoryRaw": RAW}), ""),
        ("one", json.dumps({"memoryRaw": 1}), "1 containers"),
        ("stream", "event: done\ndata: {}\n\n", "2 containers"),
        ("stream", "".join(f"event: stat\ndata: {json.dumps(row)}\n\n" for row in rows("c1", "c16")), "no end"),
        ("metrics", "", "2 containers"),
    ],
)
def test_an_answer_that_is_not_whole_or_not_right_is_wrong(what: str, body: str, wrong: str) -> None:
    said = Judge(17).wrong(what, 200, body.encode())
    assert wrong in said and bool(wrong) == bool(said)


def test_a_status_that_is_no_answer_is_wrong() -> None:
    assert Judge(17).wrong("one", 503, b"busy") == "503 b'busy'"


def test_a_stream_is_timed_until_it_has_told_every_container_that_is_not_attacked() -> None:
    told = [f"event: stat\ndata: {json.dumps(row, separators=(',', ':'))}\n\n" for row in rows("c1", "c16", "c2")]
    body = "".join([*told, "event: done\ndata: {}\n\n"]).encode()
    first, second = len(told[0]), len(told[0] + told[1])
    parts = ((0.1, first), (0.2, second - 5), (0.4, second), (8.0, len(body)))
    assert Judge(17).result(Answer("stream", 8.0, "", 200, body, parts)) == Result("stream", 0.2, "")
    cut = Answer("stream", 0.2, "", 200, told[0].encode(), parts[:1])
    assert Judge(17).result(cut) == Result("stream", 0.2, "the stream has no end")


def test_a_request_that_failed_is_wrong_for_that_reason() -> None:
    assert Judge(17).result(Answer("one", 3.0, "TimeoutError()")) == Result("one", 3.0, "TimeoutError()")


def test_the_figures_of_a_siege() -> None:
    asked = Asked.of([Result("one", number / 1000, "" if number else "cut") for number in range(100)])
    assert (asked.number, asked.right, asked.p50, asked.p99, asked.slowest) == (100, 99, 0.05, 0.099, 0.099)
    assert asked.failures == {"one: cut": 1}
