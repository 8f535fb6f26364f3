"""GET /api/containers/stats: the round as an array. Its keys: tests/golden; who is left out of a round, and who shares
one: tests/cgstatd/feed/test_shared_passes.py."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from fakehost import FakeHost, container_id
from helpers import UNIFIED, expected
from wire import ALL, STREAM, Server, serving


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({entry["id"] for entry in found}) == len(found)
    return {entry["name"]: entry for entry in found}


async def test_it_holds_the_running_ones_as_the_stream_and_their_own_answers_have_them(server: Server) -> None:
    server.fresh_for(60.0)
    array, stream = await asyncio.gather(server.ask(ALL), server.ask(STREAM))
    found = by_name(array.json)
    assert found == stream.stats and set(found) == {"a", "b", "c"} and server.feed.passes == 1
    for name, entry in found.items():
        one = (await server.ask(f"/api/containers/{name}/stats")).json
        one.pop("timestamp")
        assert entry == one | {"id": container_id(name), "name": name}


async def test_a_host_without_containers_answers_an_empty_array(tmp_path: Path, quick: None) -> None:
    async with serving(FakeHost(tmp_path).sampler()) as server:
        answer = await server.ask(ALL)
        assert (answer.status, answer.body) == (200, b"[]")


async def test_a_recorded_hosts_array_is_what_the_engines_call_running(recorded_server: Server) -> None:
    found = by_name((await recorded_server.ask(ALL)).json)
    running = {e["name"]: e["id"] for e in expected(UNIFIED)["containers"] if e["state"] == "running"}
    assert {name: entry["id"] for name, entry in found.items()} == running


async def test_hostile_names_stay_inside_their_json_string(host: FakeHost, server: Server) -> None:
    names = ['"},{"id":"x', "a\\", "\x1b[31mred", "line\nbreak", "\u2028", "<script>", "\x00", "x" * 5000, "名前"]
    for n, name in enumerate(names):
        host.add(f"hostile{n}")
        host.on_disk(f"hostile{n}", running=True, shown=name)
    found = {entry["id"]: entry["name"] for entry in json.loads((await server.ask(ALL)).body)}
    assert len(found) == 3 + len(names)
    assert all(name.isprintable() and len(name) <= 256 for name in found.values())
    assert found[container_id("hostile0")] == names[0] and found[container_id("hostile8")] == "名前"
