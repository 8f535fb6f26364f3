"""GET /api/containers, /api/host and /api/containers/{id}/detail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cgstatd import __version__
from cgstatd.feed.pressure.watch import OFF
from cgstatd.host.pressure_triggers import RESOURCES
from fakehost import ENGINE_FILES, MEM_TOTAL, FakeHost, HostClock, container_id, recorded_sampler, share_network
from helpers import HOSTS, expected
from wire import Server, serving

LIST = "/api/containers"
HOST = "/api/host"
STAT = ENGINE_FILES["proc/stat"]


def detail(name: str) -> str:
    return f"/api/containers/{name}/detail"


def values(found: Any) -> list[dict[str, Any]]:
    """Every value in an answer."""
    if isinstance(found, dict):
        if "source" in found:
            return [found]
        return [value for each in found.values() for value in values(each)]
    return [value for each in found for value in values(each)] if isinstance(found, list) else []


@pytest.fixture(params=HOSTS)
async def any_host(request: pytest.FixtureRequest, quick: None) -> Any:
    """A server over each recorded host, and the host's name."""
    async with serving(recorded_sampler(request.param)) as server:
        yield server, request.param


# -- the list


async def test_the_list_has_everybody_stopped_ones_included_and_is_made_once_for_all(server: Server) -> None:
    server.parts.queries.listing._fresh = 60.0  # however busy the machine is
    answers = await asyncio.gather(*(server.ask(LIST) for _ in range(20)))
    assert len({answer.body for answer in answers}) == 1 and server.feed.passes == 1
    found = {each["name"]: each for each in answers[0].json}
    assert {name: each["state"] for name, each in found.items()} == {
        "a": "running", "b": "running", "c": "running", "paused": "paused", "stopped": "exited"
    }  # fmt: skip
    assert found["a"]["id"] == container_id("a") and found["a"]["image"] == "lab/busybox:1"
    assert (found["a"]["pids"], found["stopped"]["pids"]) == (1, 0)


# -- the host


async def test_the_host(server: Server, host: FakeHost) -> None:
    for name, text in {"stat": STAT, "uptime": "138.51 18.18\n", "loadavg": "4.96 1.95 0.72 4/286 2936\n",
                       "version": "Linux version 6.12.1 (x)\n"}.items():  # fmt: skip
        (host.path / "proc" / name).write_text(text)
    found = (await server.ask(HOST)).json
    assert (found["cores"], found["uptimeSeconds"], found["bootTime"]) == (2, 138.51, 1795606461000)
    assert (found["kernel"], found["load"], found["memoryTotal"]) == ("6.12.1", [4.96, 1.95, 0.72], MEM_TOTAL)
    assert found["memoryAvailable"] is None and found["swapUsed"] is None  # this /proc/meminfo does not say
    assert found["cpuPercent"] is None  # /proc/stat stands still
    assert found["cgroups"]["mode"] == "unified"
    assert {"name": "memory", "version": 2, "mount": "/sys/fs/cgroup"} in found["cgroups"]["controllers"]
    assert found["containers"] == {"running": 3, "paused": 1, "cpuPercent": 0.0, "memoryUsage": 4 * (2 << 20),
                                   "networkRx": 4000, "networkTx": 2000, "blockRead": 4 * 4096,
                                   "blockWrite": 4 * 8192}  # fmt: skip
    assert found["agent"]["version"] == __version__ and found["agent"]["rss"] > 10 << 20
    assert found["agent"]["pressure"] == {"watched": [], "absent": dict.fromkeys(RESOURCES, OFF), "looks": 0}


async def test_the_hosts_cpu_is_over_a_window_without_what_a_hypervisor_took(
    host: FakeHost, clock: HostClock, server: Server
) -> None:
    server.parts.queries.host._fresh = 0.0
    (host.path / "proc/stat").write_text(STAT)
    await server.ask(HOST)
    clock.on(0.75)
    (host.path / "proc/stat").write_text("cpu  1010 0 1000 7020 500 0 0 510 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\n")
    found = (await server.ask(HOST)).json
    assert (found["cpuPercent"], found["cpuPercentOfHost"], found["cpuWindowSeconds"]) == (50.0, 25.0, 0.75)


async def test_a_network_that_is_shared_counts_once(server: Server, host: FakeHost) -> None:
    share_network(host)
    assert (await server.ask(HOST)).json["containers"]["networkRx"] == 3000
    found = (await server.ask(detail("a"))).json
    assert found["network"]["sharedWith"] == [{"id": container_id("b"), "name": "b"}]


async def test_stacked_devices_are_marked_and_left_out_of_sums(server: Server, host: FakeHost) -> None:
    host.set("a", "io.stat", "8:0 rbytes=10 wbytes=1 rios=1 wios=1\n254:0 rbytes=10 wbytes=1\n7:3 rbytes=10 wbytes=1\n")
    for device, name in (("8:0", "sda"), ("254:0", "dm-0"), ("7:3", "loop3")):
        folder = host.path / "sys/dev/block" / device
        (folder / "slaves").mkdir(parents=True)
        (folder / "uevent").write_text(f"MAJOR=8\nDEVNAME={name}\nDEVTYPE=disk\n")
    (host.path / "sys/dev/block/254:0/slaves/sda").mkdir()
    block = (await server.ask(detail("a"))).json["block"]
    assert [(d["name"], d["stacked"]) for d in block["devices"]] == [("sda", False), ("dm-0", True), ("loop3", True)]
    assert (block["readBytes"]["value"], block["writeBytes"]["value"]) == (10, 1)
    assert (await server.ask(HOST)).json["containers"]["blockRead"] == 10 + 3 * 4096


# -- the detail


async def test_every_value_is_there_or_says_why_not_and_always_from_where(any_host: tuple[Server, str]) -> None:
    server, host = any_host
    listed = {each["id"]: each for each in (await server.ask(LIST)).json}
    seen = 0
    for entry in expected(host)["containers"]:
        if not entry["cgroup"] or entry["state"] != "running":
            continue
        if entry["runtime"] == "docker":
            assert listed[entry["id"]]["name"] == entry["name"]
        answer = await server.ask(detail(entry["name"]))
        if answer.status != 200:
            assert answer.json["error"].startswith("Ambiguous"), answer.json
            continue
        for value in values(answer.json):
            assert ("value" in value) != ("absent" in value), value
            assert value["source"]
            assert value.get("absent") != ""
            seen += 1
    assert seen > 500


async def test_the_detail_of_a_recorded_container(recorded_server: Server) -> None:
    found = (await recorded_server.ask(detail("web"))).json
    assert found["container"]["name"] == "web"
    assert found["cpu"]["usageUsec"]["value"] > 0
    assert found["cpu"]["usageUsec"]["source"].endswith(".scope/cpu.stat")
    memory, stat = found["memory"], found["memoryStat"]
    assert memory["workingSetBytes"]["value"] == memory["usageBytes"]["value"] - stat["inactiveFile"]["value"]
    assert memory["rssBytes"] == stat["anon"]
    assert found["pressure"]["cpuSomeTotalUsec"]["unit"] == "microseconds"
    assert found["network"]["interfaces"][0]["name"] == "eth0"
    assert found["network"]["rxBytes"]["value"] == sum(i["rxBytes"] for i in found["network"]["interfaces"])
    assert found["started"]["value"] > 1_700_000_000_000
    network = (await recorded_server.ask(detail("hostnet"))).json["network"]
    assert network["rxBytes"]["absent"] == "the container uses the host's network"
    assert network["interfaces"] == []


async def test_the_tightest_limit_is_an_ancestors_and_says_which(server: Server, host: FakeHost) -> None:
    parent = host.path / "sys/fs/cgroup/system.slice"
    (parent / "memory.max").write_text("50000000\n")
    (parent / "pids.max").write_text("max\n")
    host.set("a", "memory.max", "60000000\n")
    limit = (await server.ask(detail("a"))).json["limits"]["memory"]
    assert limit["own"]["value"] == 60000000
    assert (limit["tightest"]["value"], limit["tightestCgroup"]) == (50000000, "/system.slice")
    host.set("a", "memory.max", "40000000\n")
    limit = (await server.ask(detail("a"))).json["limits"]["memory"]
    assert limit["tightest"]["value"] == 40000000
    assert limit["tightestCgroup"].endswith(f"docker-{container_id('a')}.scope")


async def test_shares_of_the_quota_and_of_the_host(host: FakeHost, clock: HostClock, server: Server) -> None:
    server.fresh_for(0.0)
    stat = "usage_usec {}\nuser_usec 0\nsystem_usec 0\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n"
    (host.path / "proc/stat").write_text(STAT)
    (host.scope("a") / "cpu.max").write_text("50000 100000\n")
    host.set("a", "cpu.stat", stat.format(1_000_000))
    await server.ask(LIST)
    clock.on(1)
    host.set("a", "cpu.stat", stat.format(1_100_000))
    cpu = (await server.ask(detail("a"))).json["cpu"]
    found = [cpu[key]["value"] for key in ("percent", "percentOfQuota", "percentOfHost", "throttledPercent")]
    assert found == [10, 20, 5, 40] and cpu["throttledUsec"]["value"] == 7


async def test_without_the_memory_controller_the_fix_and_the_processes_own_memory(host: FakeHost, quick: None) -> None:
    for file in ("memory.current", "memory.stat", "memory.max"):
        (host.scope("a") / file).unlink()
    async with serving(host.sampler()) as server:
        memory = (await server.ask(detail("a"))).json["memory"]
        assert memory["usageBytes"]["absent"] == "the memory controller is not enabled for this cgroup"
    (host.path / "sys/fs/cgroup/cgroup.controllers").write_text("cpuset cpu io pids\n")
    pid = (host.scope("a") / "cgroup.procs").read_text().strip()
    status = "Name:\tsleep\nVmSwap:\t0 kB\nRssAnon:\t100 kB\nRssFile:\t50 kB\nRssShmem:\t20 kB\n"
    (host.path / f"proc/{pid}/status").write_text(status)
    async with serving(host.sampler()) as server:
        memory = (await server.ask(detail("a"))).json["memory"]
    reason = "memory controller disabled: add cgroup_enable=memory to the kernel command line"
    assert memory["usageBytes"]["absent"] == memory["workingSetBytes"]["absent"] == reason
    assert memory["processesBytes"]["value"] == 120 * 1024
    assert "not the cgroup's" in memory["processesBytes"]["source"]


async def test_a_stopped_container_has_an_identity_alone(server: Server) -> None:
    found = (await server.ask(detail("stopped"))).json
    assert (found["container"]["state"], found["cgroup"], found["cpu"]) == ("exited", None, {})


async def test_last_words_can_be_read_after_the_end(server: Server, host: FakeHost) -> None:
    host.add("worker")
    async with server.connection() as connection:
        connection.send("/api/containers/stats/follow?interval=0.25")
        answer = await connection.head()
        while b'"name":"worker"' not in await connection.chunk(answer):
            pass  # on a busy machine the first round may lack it
        host.remove("worker", from_disk=True)
        while b"event: exit" not in await connection.chunk(answer):
            pass
    for wanted in ("worker", container_id("worker"), container_id("worker")[:10]):
        found = (await server.ask(detail(wanted))).json
        assert found["container"]["state"] == "exited"
        assert found["lastWords"]["last"]["memoryRaw"] == 3 << 20
