"""A container with more labels than a dict is kept of: every route shows them, and no list is the larger for them."""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cgstatd.host.runtimes.packed_labels import MOST_LABELS
from cgstatd.outputs.engine.containers import inspected, summary
from fakehost import FakeHost, container_id
from wire import Server, serving

LABELS = {f"org.example.{number}": f"value {number}" for number in range(MOST_LABELS - 3)} | {
    "name": "not the container's",
    "cgstatd.owner": "not the owner",
    "line\nbreak": "tab\tin it",
}
SHOWN = {key: value for key, value in LABELS.items() if key != "line\nbreak"} | {"line�break": "tab�in it"}
OURS = {"cgstatd.owner": "0", "cgstatd.runtime": "docker"}


def label(host: FakeHost, name: str, labels: dict[str, str] = LABELS) -> None:
    host.config(name, Config={"Labels": labels})


async def test_every_answer_has_them_and_those_of_the_engine_api_its_own_too(server: Server, host: FakeHost) -> None:
    label(host, "a")
    (listed,) = [each for each in (await server.ask("/api/containers")).json if each["name"] == "a"]
    detail = (await server.ask("/api/containers/a/detail")).json["container"]
    assert listed["labels"] == detail["labels"] == SHOWN and "labelsLeftOut" not in listed
    (listed,) = (await server.ask('/containers/json?filters={"name":["^a$"]}')).json
    one = (await server.ask("/containers/a/json")).json
    assert listed["Labels"] == one["Config"]["Labels"] == SHOWN | OURS
    events = (await server.ask(f"/events?since=0&until={time.time():.3f}")).body.splitlines()
    (start,) = [each for each in map(json.loads, events) if each["id"] == container_id("a")]
    assert start["Actor"]["Attributes"] == SHOWN | OURS | {"image": "lab/busybox:1", "name": "a"}


async def test_the_event_of_a_start_has_them(server: Server, host: FakeHost) -> None:
    async with server.connection() as found:
        found.send("/api/containers/stats/follow?interval=0.25")
        answer, text = await found.head(), b""
        while b"event: round" not in text:
            text += await found.chunk(answer)
        host.add("late", labels=LABELS)
        while not (started := re.search(rb"event: start\nid: \S+\ndata: (.+)\n\n", text)):
            text += await found.chunk(answer)
    assert json.loads(started[1])["labels"] == SHOWN


async def test_they_can_be_asked_for(server: Server, host: FakeHost) -> None:
    label(host, "a")
    for labels, found in (
        (["org.example.7"], ["a"]), (["org.example.7=value 7", "cgstatd.owner=0"], ["a"]),
        (["org.example.7=value 8"], []), (["org.example.7", "nope"], []), (["cgstatd.owner=not the owner"], []),
        (["cgstatd.runtime=docker", "name"], ["a"]),
    ):  # fmt: skip
        listed = (await server.ask(f"/containers/json?filters={quote(json.dumps({'label': labels}))}")).json
        assert [each["Names"][0] for each in listed] == [f"/{name}" for name in found], labels


def our_list(server: Server) -> Awaitable[Any]:
    return server.parts.queries._make_listing()


async def engines_list(server: Server) -> Any:
    listed = await server.parts.engine._make_list()
    return [(summary(each, 0.0), inspected(each)) for each in listed]


@pytest.mark.parametrize("make", [our_list, engines_list])
async def test_a_list_has_no_objects_of_its_own_for_them(
    tmp_path: Path, quick: None, make: Callable[[Server], Awaitable[Any]]
) -> None:
    async def objects(*labelled: str) -> int:
        host = FakeHost(tmp_path / f"{len(labelled)}")
        for name in "abcde":
            host.add(name, labels=LABELS if name in labelled else None)
        async with serving(host.sampler()) as server:
            await make(server)  # what is made once is made
            gc.collect()
            before = sys.getallocatedblocks()
            held = await make(server)
            gc.collect()
            found = sys.getallocatedblocks() - before
            listed = await server.parts.queries._make_listing()
            assert [len(each.labels) for each in listed] == [
                len(SHOWN if each.name in labelled else ()) for each in listed
            ]
        del held
        return found

    assert await objects(*"abcde") < await objects() + 5 * MOST_LABELS / 4
