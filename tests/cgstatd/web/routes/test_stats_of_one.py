"""GET /api/containers/{id}/stats: its figures, and whom an id means. Its keys and their order: tests/golden."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from cgstatd.sampling import pass_work
from fakehost import MEM_TOTAL, FakeHost, Hang, HostClock, container_id
from helpers import UNIFIED, container
from patience import until
from wire import Server, serving


def path(wanted: str) -> str:
    return f"/api/containers/{wanted}/stats"


async def test_the_figures_are_those_of_the_files(host: FakeHost, server: Server) -> None:
    host.add("x", memory=5000, cache=1000, limit="16000", rx=11, tx=12, read=13, written=14)
    before = time.time_ns() // 1_000_000
    found = (await server.ask(path("x"))).json
    assert before <= found.pop("timestamp") <= time.time_ns() // 1_000_000
    assert found == {
        "cpuPercent": 0, "memoryUsage": 4000, "memoryRaw": 5000, "memoryCache": 1000, "memoryLimit": 16000,
        "memoryPercent": 25, "networkRx": 11, "networkTx": 12, "blockRead": 13, "blockWrite": 14,
    }  # fmt: skip
    paused = (await server.ask(path("paused"))).json
    assert paused["cpuPercent"] == 0 and paused["memoryUsage"] == 2 << 20 and paused["networkRx"] == 1000


async def test_the_limit_is_the_hosts_memory_where_there_is_none_or_a_larger_one(
    host: FakeHost, server: Server
) -> None:
    limits = {"max": MEM_TOTAL, str(MEM_TOTAL + 4096): MEM_TOTAL, "4096": 4096, "0": 0}
    for limit, shown in limits.items():
        host.add(f"limit-{limit}", memory=2048, cache=0, limit=limit)
        found = (await server.ask(path(f"limit-{limit}"))).json
        assert found["memoryLimit"] == shown
        assert found["memoryPercent"] == (round(2048 / shown * 100, 2) if shown else 0)


async def test_cpu_is_the_cpu_time_over_the_time_between_two_readings(
    host: FakeHost, clock: HostClock, server: Server
) -> None:
    """More than one core is more than 100 %; a counter that fell is a new baseline."""
    server.fresh_for(0.0)
    await server.ask(path("a"))
    for usage_usec, percent in ((2_800_000, 300), (10, 0), (60_010, 10)):
        clock.on(0.6)
        host.burn("a", usage_usec)
        assert (await server.ask(path("a"))).json["cpuPercent"] == percent


async def test_a_stopped_container_answers_zeros_and_its_configured_limit(host: FakeHost, server: Server) -> None:
    host.on_disk("free")
    for name, limit in (("stopped", 128 << 20), ("free", 0)):
        found = (await server.ask(path(name))).json
        assert found.pop("memoryLimit") == limit
        assert abs(found.pop("timestamp") - time.time() * 1000) < 60_000
        assert len(found) == 9 and set(found.values()) == {0}


async def test_what_the_kernel_does_not_say_is_0_here(host: FakeHost, server: Server) -> None:
    for file in ("memory.current", "memory.stat", "memory.max", "io.stat"):
        (host.scope("a") / file).unlink()
    found = (await server.ask(path("a"))).json
    assert {value for key, value in found.items() if key.startswith(("memory", "block"))} == {0}


# -- whom an id means


async def test_an_id_is_a_full_id_a_name_a_unique_prefix_or_runtime_and_name(host: FakeHost, server: Server) -> None:
    """A full id wins over a name, and a name over a prefix; each may be percent-encoded."""
    host.set("a", "memory.current", "7777777\n")
    host.on_disk("utf8", shown="bücher")
    digest, other = container_id("a"), container_id("b")
    host.on_disk("named-like-an-id", shown=other, limit=1)
    host.on_disk("named-like-a-prefix", shown=other[:12], limit=2)
    for wanted in ("a", "docker:a", digest, digest[:12], digest[:4], f"docker:{digest}", "%61", "docker%3Aa"):
        answer = await server.ask(path(wanted))
        assert (answer.status, answer.json["memoryRaw"]) == (200, 7777777), wanted
    assert (await server.ask(path("b%C3%BCcher"))).status == 200
    assert (await server.ask(path(other))).json["memoryRaw"] == 3 << 20  # the running one's
    assert (await server.ask(path(other[:12]))).json["memoryLimit"] == 2
    assert (await server.ask(path(other[:13]))).json["memoryRaw"] == 3 << 20


async def test_an_ambiguous_id_is_400_and_names_the_candidates(host: FakeHost, server: Server) -> None:
    """Who goes before whom: tests/cgstatd/sampling/test_lookup.py."""
    first, second = host.on_disk("one", shown="twin"), host.on_disk("two", shown="twin")
    answer = await server.ask(path("twin"))
    assert answer.status == 400 and list(answer.json) == ["error"]
    error = answer.json["error"]
    assert error.startswith("Ambiguous container ID twin") and first[:12] in error and second[:12] in error
    assert (await server.ask(path(first))).status == 200


async def test_the_agents_environment_is_configured(host: FakeHost) -> None:
    async with serving(host.sampler(), env=42) as server:
        for query, status in (("?env=42", 200), ("", 200), ("?env=1", 404)):
            assert (await server.ask(path("a") + query)).status == status


async def test_every_runtimes_containers_are_found_by_name(recorded_server: Server) -> None:
    for name in ("burn", "pm-burn", "lx1", "nsp", "rl-burn"):
        assert container(UNIFIED, name)["state"] == "running"
        assert (await recorded_server.ask(path(name))).json["memoryRaw"] > 0, name


async def test_a_container_whose_metadata_is_gone_is_shown_under_its_short_id(tmp_path: Path, quick: None) -> None:
    host = FakeHost(tmp_path)
    digest = host.add("a")
    (tmp_path / f"var/lib/docker/containers/{digest}/config.v2.json").unlink()
    async with serving(host.sampler()) as server:
        assert (await server.ask(path(digest[:12]))).status == 200
        [found] = (await server.ask("/api/containers/stats")).json
        assert (found["id"], found["name"]) == (digest, digest[:12])


# -- what is read


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
