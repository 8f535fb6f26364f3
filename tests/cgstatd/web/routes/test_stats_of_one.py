"""GET /api/containers/{id}/stats: eleven keys, and whom an id means."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from cgstatd.sampling import pass_work
from cgstatd.sampling.rates import CpuWindow
from fakehost import MEM_TOTAL, FakeHost, Hang, burn_once_read, container_id
from helpers import UNIFIED, container, expected
from patience import until
from wire import Server, serving

BYTES = frozenset(
    "memoryUsage memoryRaw memoryCache memoryLimit networkRx networkTx blockRead blockWrite timestamp".split()
)
PERCENTAGES = frozenset({"cpuPercent", "memoryPercent"})


def path(wanted: str) -> str:
    return f"/api/containers/{wanted}/stats"


def check_types(found: dict[str, Any], raw: bytes) -> None:
    """Integers are written as integers, percentages as numbers of at most two decimals."""
    numbers = dict(json.loads(raw, parse_float=str, parse_int=str))
    for key in BYTES & found.keys():
        assert type(found[key]) is int, key
        assert numbers[key].isdigit(), (key, numbers[key])
    for key in PERCENTAGES:
        assert type(found[key]) in (int, float)
        assert len(numbers[key].partition(".")[2]) <= 2, (key, numbers[key])


async def test_the_answer_has_exactly_the_eleven_keys_with_their_types_in_the_documented_order(server: Server) -> None:
    answer = await server.ask(path("a"))
    assert answer.status == 200
    assert (
        list(answer.json)
        == (
            "cpuPercent memoryUsage memoryRaw memoryCache memoryLimit memoryPercent "
            "networkRx networkTx blockRead blockWrite timestamp"
        ).split()
    )
    check_types(answer.json, answer.body)


async def test_the_figures_are_those_of_the_files(host: FakeHost, server: Server) -> None:
    host.add("x", memory=5000, cache=1000, limit="16000", rx=11, tx=12, read=13, written=14)
    before = time.time_ns() // 1_000_000
    found = (await server.ask(path("x"))).json
    assert before <= found.pop("timestamp") <= time.time_ns() // 1_000_000
    assert found == {
        "cpuPercent": 0,
        "memoryUsage": 4000,
        "memoryRaw": 5000,
        "memoryCache": 1000,
        "memoryLimit": 16000,
        "memoryPercent": 25,
        "networkRx": 11,
        "networkTx": 12,
        "blockRead": 13,
        "blockWrite": 14,
    }


@pytest.mark.parametrize(
    ("memory", "cache", "usage"), [(5000, 0, 5000), (5000, 4999, 1), (5000, 5000, 5000), (5000, 6000, 5000), (0, 0, 0)]
)
async def test_the_page_cache_is_subtracted_only_where_it_is_smaller_than_the_whole(
    host: FakeHost, server: Server, memory: int, cache: int, usage: int
) -> None:
    host.add("x", memory=memory, cache=cache)
    found = (await server.ask(path("x"))).json
    assert (found["memoryRaw"], found["memoryCache"], found["memoryUsage"]) == (memory, cache, usage)


@pytest.mark.parametrize(
    ("limit", "shown"), [("max", MEM_TOTAL), (str(MEM_TOTAL + 4096), MEM_TOTAL), ("4096", 4096), ("0", 0)]
)
async def test_the_limit_is_the_hosts_memory_where_there_is_none_or_a_larger_one(
    host: FakeHost, server: Server, limit: str, shown: int
) -> None:
    host.add("x", memory=2048, cache=0, limit=limit)
    found = (await server.ask(path("x"))).json
    assert found["memoryLimit"] == shown
    assert found["memoryPercent"] == (round(2048 / shown * 100, 2) if shown else 0)


async def test_more_than_one_core_is_more_than_100_percent(host: FakeHost, server: Server) -> None:
    earliest = time.monotonic()
    await server.ask(path("a"))
    began = time.monotonic()
    await asyncio.sleep(0.6)  # beyond the freshness window
    used = 3.0 * (time.monotonic() - began)
    host.burn("a", 1_000_000 + int(used * 1_000_000))
    cpu = (await server.ask(path("a"))).json["cpuPercent"]
    longest = time.monotonic() - earliest
    assert used / longest * 100 < cpu < used / 0.6 * 100 + 1


async def test_a_counter_that_fell_is_a_new_baseline(host: FakeHost, server: Server) -> None:
    await server.ask(path("a"))
    await asyncio.sleep(0.6)
    host.burn("a", 10)
    assert (await server.ask(path("a"))).json["cpuPercent"] == 0


async def test_a_new_container_has_a_real_percentage_within_the_request(
    host: FakeHost, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.2)  # the true ones
    monkeypatch.setattr(CpuWindow, "MINIMUM_NS", 100_000_000)
    host.add("new", usage_usec=36_000_000_000)
    burn_once_read(host, "new", 36_000_000_000 + 100_000, monkeypatch)
    answer = await server.ask(path("new"))
    assert 0 < answer.json["cpuPercent"] < 51  # 0.1 s of CPU in 0.2 s


async def test_a_paused_container_answers_like_a_running_one(server: Server) -> None:
    found = (await server.ask(path("paused"))).json
    assert found["cpuPercent"] == 0 and found["memoryUsage"] == 2 << 20 and found["networkRx"] == 1000


async def test_a_stopped_container_answers_zeros_and_its_configured_limit(server: Server) -> None:
    answer = await server.ask(path("stopped"))
    assert answer.status == 200
    found = answer.json
    assert found.pop("memoryLimit") == 128 << 20
    assert abs(found.pop("timestamp") - time.time() * 1000) < 5000
    assert len(found) == 9 and set(found.values()) == {0}
    check_types(answer.json, answer.body)


async def test_a_stopped_container_without_a_limit_has_the_limit_0(host: FakeHost, server: Server) -> None:
    host.on_disk("free")
    found = (await server.ask(path("free"))).json
    assert (found["memoryLimit"], found["memoryPercent"]) == (0, 0)


async def test_what_the_kernel_does_not_say_is_0_here(host: FakeHost, server: Server) -> None:
    for file in ("memory.current", "memory.stat", "memory.max", "io.stat"):
        (host.scope("a") / file).unlink()
    found = (await server.ask(path("a"))).json
    assert {found[key] for key in ("memoryUsage", "memoryRaw", "memoryCache", "memoryLimit", "memoryPercent")} == {0}
    assert (found["blockRead"], found["blockWrite"]) == (0, 0)


@pytest.mark.parametrize(
    "wanted",
    ["a", "docker:a", container_id("a"), container_id("a")[:12], container_id("a")[:4], f"docker:{container_id('a')}"],
)
async def test_an_id_is_a_full_id_a_name_a_unique_prefix_or_runtime_and_name(
    host: FakeHost, server: Server, wanted: str
) -> None:
    host.set("a", "memory.current", "7777777\n")
    answer = await server.ask(path(wanted))
    assert answer.status == 200
    assert answer.json["memoryRaw"] == 7777777


async def test_a_name_may_be_percent_encoded(host: FakeHost, server: Server) -> None:
    host.on_disk("utf8", shown="bücher")
    assert (await server.ask(path("%61"))).status == 200
    assert (await server.ask(path("docker%3Aa"))).status == 200
    assert (await server.ask(path("b%C3%BCcher"))).status == 200


async def test_a_full_id_wins_over_a_name_and_a_name_over_a_prefix(host: FakeHost, server: Server) -> None:
    digest = container_id("b")
    host.on_disk("named-like-an-id", shown=digest, limit=1)
    host.on_disk("named-like-a-prefix", shown=digest[:12], limit=2)
    assert (await server.ask(path(digest))).json["memoryRaw"] == 3 << 20  # the running one's
    assert (await server.ask(path(digest[:12]))).json["memoryLimit"] == 2
    assert (await server.ask(path(digest[:13]))).json["memoryRaw"] == 3 << 20


async def test_an_ambiguous_name_is_400_and_names_the_candidates(host: FakeHost, server: Server) -> None:
    first, second = host.on_disk("one", shown="twin"), host.on_disk("two", shown="twin")
    answer = await server.ask(path("twin"))
    assert answer.status == 400
    error = answer.json["error"]
    assert list(answer.json) == ["error"] and error.startswith("Ambiguous container ID twin")
    assert first[:12] in error and second[:12] in error
    assert (await server.ask(path(first))).status == 200


async def test_an_ambiguous_prefix_is_400_and_runtime_and_name_picks_one(host: FakeHost, server: Server) -> None:
    ids = {name: container_id(name) for name in (f"n{n}" for n in range(40))}
    digit = container_id("n0")[0]
    names = [name for name, digest in ids.items() if digest[0] == digit]
    assert len(names) > 1
    for name in names:
        host.on_disk(name)
    answer = await server.ask(path(digit))
    assert answer.status == 400 and f"docker:{names[0]} ({ids[names[0]][:12]})" in answer.json["error"]
    assert (await server.ask(path(f"docker:{names[0]}"))).status == 200


async def test_the_agents_environment_is_configured(host: FakeHost) -> None:
    async with serving(host.sampler(), env=42) as server:
        assert (await server.ask(path("a") + "?env=42")).status == 200
        assert (await server.ask(path("a"))).status == 200
        assert (await server.ask(path("a") + "?env=1")).status == 404


async def test_requests_for_different_containers_do_not_wait_for_each_others_window(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 3600.0)
    names = ("a", "b", "c", "paused")
    asking = [asyncio.create_task(server.ask(path(name))) for name in names * 5]
    await until(lambda: set(hang.reads) == set(names))
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_one_container_is_read_and_no_other(server: Server, hang: Hang) -> None:
    await server.ask(path("b"))
    assert hang.reads == ["b"]


async def test_a_recorded_hosts_containers_have_the_engines_figures(recorded_server: Server) -> None:
    checked = 0
    entries = [
        entry
        for entry in expected(UNIFIED)["containers"]
        if entry["runtime"] == "docker" and entry["t1"] and entry["state"] in ("running", "paused")
    ]
    answers = await asyncio.gather(*(recorded_server.ask(path(entry["name"])) for entry in entries))
    for entry, answer in zip(entries, answers, strict=True):
        assert answer.status == 200, entry["name"]
        check_types(answer.json, answer.body)
        inexact = entry["t1"].get("inexact", {})
        for key in (BYTES - {"timestamp"}) - inexact.keys():
            assert answer.json[key] == entry["t1"][key], (entry["name"], key)
            checked += 1
    assert checked > 80


@pytest.mark.parametrize("name", ["burn", "pm-burn", "lx1", "nsp", "rl-burn"])
async def test_every_runtimes_containers_are_found_by_name(recorded_server: Server, name: str) -> None:
    assert container(UNIFIED, name)["state"] == "running"
    assert (await recorded_server.ask(path(name))).json["memoryRaw"] > 0


async def test_a_container_whose_metadata_is_gone_is_shown_under_its_short_id(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    digest = host.add("a")
    (tmp_path / f"var/lib/docker/containers/{digest}/config.v2.json").unlink()
    async with serving(host.sampler()) as server:
        assert (await server.ask(path(digest[:12]))).status == 200
        [found] = (await server.ask("/api/containers/stats")).json
        assert (found["id"], found["name"]) == (digest, digest[:12])
