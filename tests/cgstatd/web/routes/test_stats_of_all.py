"""GET /api/containers/stats: the round as an array."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import CgroupGone
from cgstatd.feed import reading_pass
from cgstatd.sampling import registry
from cgstatd.sampling.container import Container
from fakehost import FakeHost, Hang, container_id
from helpers import UNIFIED, expected
from wire import ALL, STREAM, Server, serving

KEYS = (
    "cpuPercent memoryUsage memoryRaw memoryCache memoryLimit memoryPercent "
    "networkRx networkTx blockRead blockWrite id name"
).split()


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({entry["id"] for entry in found}) == len(found)
    return {entry["name"]: entry for entry in found}


async def test_the_array_holds_the_running_containers_only(server: Server) -> None:
    answer = await server.ask(ALL)
    assert answer.status == 200
    assert set(by_name(answer.json)) == {"a", "b", "c"}


async def test_each_has_an_id_a_name_and_the_ten_figures_without_timestamp(server: Server) -> None:
    for entry in (await server.ask(ALL)).json:
        assert sorted(entry) == sorted(KEYS)
        assert entry["id"] == container_id(entry["name"])
        assert all(type(entry[key]) is int for key in KEYS if key.startswith(("memory", "net", "block"))
                   and key != "memoryPercent")  # fmt: skip


async def test_it_is_the_same_round_as_the_stream(server: Server) -> None:
    server.feed.retime(freshness_seconds=60.0, baseline_seconds=0.0, max_cpu_percent=0.0)  # however busy the machine is
    array, stream = await asyncio.gather(server.ask(ALL), server.ask(STREAM))
    assert by_name(array.json) == stream.stats
    assert server.feed.passes == 1


async def test_the_figures_are_those_of_the_single_answer(server: Server) -> None:
    for name, entry in by_name((await server.ask(ALL)).json).items():
        one = (await server.ask(f"/api/containers/{name}/stats")).json
        one.pop("timestamp")
        assert {key: entry[key] for key in one} == one


async def test_a_host_without_containers_answers_an_empty_array(tmp_path: Path) -> None:
    async with serving(FakeHost(tmp_path).sampler()) as server:
        answer = await server.ask(ALL)
        assert (answer.status, answer.body) == (200, b"[]")


async def test_a_recorded_hosts_array_is_what_the_engines_call_running(recorded_server: Server) -> None:
    found = by_name((await recorded_server.ask(ALL)).json)
    running = {e["name"] for e in expected(UNIFIED)["containers"] if e["state"] == "running"}
    assert set(found) == running
    for name, entry in found.items():
        assert not name.startswith("/")
        recorded = next(e for e in expected(UNIFIED)["containers"] if e["name"] == name)
        assert entry["id"] == recorded["id"]


async def test_a_container_that_fails_or_goes_is_left_out(
    host: FakeHost, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.make_unreadable("a", "cpu.stat")
    original = Container.counters

    def read(container: Container, *arguments: Any) -> Any:
        if container.identity.name == "b":
            raise CgroupGone(container.ref.path)
        return original(container, *arguments)

    monkeypatch.setattr(Container, "counters", read)
    answer = await server.ask(ALL)
    assert answer.status == 200 and set(by_name(answer.json)) == {"c"}


async def test_a_container_that_hangs_is_left_out_without_waiting_for_its_time(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 600.0)
    hang.names.add("b")
    answer = await server.ask(ALL)
    assert set(by_name(answer.json)) == {"a", "c"}
    hang.release()
    while set(by_name((await server.ask(ALL)).json)) != {"a", "b", "c"}:
        await asyncio.sleep(0.05)


async def test_a_listing_that_hangs_is_500_after_its_time(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 0.4)
    hang.listing = True
    answer = await server.ask(ALL)
    assert answer.status == 500 and answer.json["error"].startswith("listing the containers takes over")
    hang.release()


async def test_fifty_requests_at_once_share_one_pass(server: Server, hang: Hang) -> None:
    server.feed.retime(freshness_seconds=60.0, baseline_seconds=0.0, max_cpu_percent=0.0)  # however busy the machine is
    answers = await asyncio.gather(*(server.ask(ALL) for _ in range(50)))
    assert len({answer.body for answer in answers}) == 1
    assert server.feed.passes == 1 and sorted(hang.reads) == ["a", "b", "c", "paused"]


async def test_hostile_names_stay_inside_their_json_string(host: FakeHost, server: Server) -> None:
    random.seed(1)
    names = ['"},{"id":"x', "a\\", "\x1b[31mred", "line\nbreak", "\u2028", "<script>", "\x00", "x" * 5000, "名前"]
    for n, name in enumerate(names):
        host.add(f"hostile{n}")
        host.on_disk(f"hostile{n}", running=True, shown=name)
    answer = await server.ask(ALL)
    found = {entry["id"]: entry["name"] for entry in json.loads(answer.body)}
    assert len(found) == 3 + len(names)
    assert all(name.isprintable() and len(name) <= 256 for name in found.values())
    assert found[container_id("hostile0")] == names[0] and found[container_id("hostile8")] == "名前"
