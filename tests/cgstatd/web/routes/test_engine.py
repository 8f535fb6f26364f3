"""The Engine API over a made-up host: shapes, figures, refusals, and that no secret is in any answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cgstatd.feed import engine_events
from cgstatd.outputs.engine import container_filters, containers, inventory, stats, system
from cgstatd.outputs.engine.names import engine_id
from cgstatd.outputs.engine.system import API_VERSION, READ_ONLY
from cgstatd.sampling import pass_work
from cgstatd.sampling.engine_figures import EngineReader
from cgstatd.web.routes import engine, engine_streams
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES
from documented import filled
from fakehost import ENGINE_FILES, MEM_TOTAL, FakeHost, container_id
from helpers import write_files
from wire import Server, serving

CANARY = "canary-9c1f"
PREFIXES = ("", "/v1.24", "/v1.45", f"/v{API_VERSION}")


@pytest.fixture(autouse=True)
def host_files(host: FakeHost) -> None:
    """What the Engine's routes read of the host."""
    write_files(
        str(host.path),
        ENGINE_FILES
        | {
            "sys/devices/system/cpu/online": "0-1\n",
            "usr/lib/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
        },
    )


async def object_of(server: Server, target: str) -> Any:
    answer = await server.ask(target)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


R = TypeVar("R")


def noted(calls: list[Any], real: Callable[..., R]) -> Callable[..., R]:
    """It notes what it is called with."""

    def noting(*arguments: Any) -> R:
        calls.append(arguments)
        return real(*arguments)

    return noting


def cpu_percent(stats: dict[str, Any]) -> float:
    """docker/cli, calculateCPUPercentUnix."""
    now, before = stats["cpu_stats"], stats["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    system = now["system_cpu_usage"] - before["system_cpu_usage"]
    return float(used / system * now["online_cpus"] * 100)


# -- ping, version, info


async def test_ping_version_and_info(server: Server) -> None:
    for prefix in PREFIXES:
        for method, body in (("GET", b"OK"), ("HEAD", b"")):
            answer = await server.ask(f"{prefix}/_ping", method=method)
            assert (answer.status, answer.body) == (200, body)
            assert answer.headers["api-version"] == API_VERSION and answer.headers["ostype"] == "linux"
    version = await object_of(server, "/version")
    assert (version["ApiVersion"], version["MinAPIVersion"], version["Os"]) == (API_VERSION, "1.24", "linux")
    assert (version["Arch"], version["KernelVersion"]) == ("amd64", "6.12.0")
    info = await object_of(server, "/v1.45/info")
    counts = [info[f"Containers{which}"] for which in ("", "Running", "Paused", "Stopped")]
    assert counts == [5, 3, 1, 1]
    assert (info["NCPU"], info["MemTotal"], info["Name"]) == (2, MEM_TOTAL, "web1")
    assert (info["OperatingSystem"], info["CgroupVersion"]) == ("Debian GNU/Linux 13 (trixie)", "2")
    assert info["Warnings"] == [READ_ONLY]
    compared = re.fullmatch(r"(\d+)\.\d+\.\d+\+cgstatd\.[0-9A-Za-z.-]+", version["Version"])
    assert compared and int(compared[1]) > 24, "beszel takes less than 25 for one whose one-shot statistics are broken"
    assert version["Components"][0]["Version"] == version["Version"] == info["ServerVersion"]


REFUSED = (
    (400, f"client version 1.99 is too new. Maximum supported API version is {API_VERSION}", ["/v1.99/info"]),
    (400, "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade", ["/v1.23/info"]),
    (400, "invalid ", [f"/containers/json?all=1&{query}" for query in
                       ("filters=nope", 'filters={"x":["y"]}', "limit=x", "limit=1_0")]),
    (400, "", [f"/events?{query}" for query in ("since=yesterday", "until=x", "filters=3", 'filters={"nope":["x"]}')]),
    (404, "No such container: ", [f"/v1.45/containers/{wanted}/{what}"
                                  for what in ("json", "stats", "stats?stream=0", "top")
                                  for wanted in ("nope", "..", "%2e%2e", "a%2fb", "%00", "a%5cb", "x" * 600)]),
    (404, "No such image: ", [f"/images/{wanted}/json" for wanted in ("nope", "lab/busybox:2", "lab", "%00")]),
    (501, "names alone", ['/containers/json?all=1&filters={"volume":["/data"]}']),
    (501, "cannot be answered", [f'/containers/json?all=1&filters={{"{key}":["true"]}}' for key in
                                 ("isolation", "is-task")]),
    (400, "ps", [f"/containers/a/top?ps_args={each}" for each in
               ("-o%20pid,args", "-o%20cmd", "-ocommand", "-o%20nope", "--sort%20pid", "-L", "-u%20root", "-p%201",
                "-o", "x" * 600)]),
    (409, "container stopped is not running", ["/containers/stopped/top"]),
    (400, "multiple IDs", [f"/containers/{container_id('a')[:2]}/json"]),
    (404, "Environment not found", ["/v1.45/containers/json?env=7"]),
    # As dockerd says it: `docker inspect nosuch` asks for each of these, and goes on after a 404 alone.
    *((404, words, [f"{prefix}{path}" for prefix in PREFIXES]) for path, words in (
        ("/containers/nosuch/json", "No such container: nosuch"),
        ("/images/nosuch/json", "No such image: nosuch:latest"),
        ("/networks/nosuch", "network nosuch not found"), ("/volumes/nosuch", "get nosuch: no such volume"),
        ("/plugins/nosuch/json", 'plugin "nosuch" not found'),
    )),
)  # fmt: skip
"""Status, what its message has, and what is asked."""


async def test_what_is_refused_is_said_in_the_engines_words(server: Server, host: FakeHost) -> None:
    first = container_id("a")[:2]
    number = next(n for n in range(10_000) if container_id(f"x{n}").startswith(first))
    host.on_disk(f"x{number}")
    for status, words, targets in REFUSED:
        for target in targets:
            answer = await server.ask(target)
            assert answer.status == status and list(answer.json) == ["message"], target
            assert words in answer.json["message"], target
    answer = await server.ask("/containers/json", "Content-Length: 1")
    assert answer.status == 413 and answer.json == {"message": "Request body not allowed"}
    for status, method, target in (
        (404, "GET", "/nope"), (404, "GET", "/v2/containers/json"), (405, "POST", "/api/containers")
    ):  # fmt: skip
        answer = await server.ask(target, method=method)
        assert answer.status == status and "error" in answer.json, "paths of our own stay as they are"


# -- the list


async def test_the_list(server: Server) -> None:
    for prefix in PREFIXES:
        running = await object_of(server, f"{prefix}/containers/json")
        assert {(each["Names"][0], each["State"]) for each in running} == {
            ("/a", "running"), ("/b", "running"), ("/c", "running"), ("/paused", "paused")
        }  # fmt: skip
        everything = await object_of(server, f"{prefix}/containers/json?all=1&size=1")
        assert {each["Names"][0] for each in everything} == {"/a", "/b", "/c", "/paused", "/stopped"}
        assert not any("SizeRw" in each for each in everything)
        only = await object_of(server, prefix + '/containers/json?all=true&filters={"name":{"stopped":true}}')
        assert [each["State"] for each in only] == ["exited"]
        assert len(await object_of(server, f"{prefix}/containers/json?limit=2")) == 2
        assert len(await object_of(server, f"{prefix}/containers/json?limit=-1")) == 4


async def test_what_grows_with_the_containers_is_computed_beside_the_event_loop(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (container_filters, "chosen"), (containers, "summary"), (inventory, "_images"), (inventory, "networks"),
        (system, "info"), (engine_streams, "_lines"), (engine, "encode_with_labels"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, _elsewhere(getattr(module, name)))
    for target in (
        '/containers/json?all=1&filters={"name":["a"]}', "/containers/json", "/images/json", "/images/busybox/json",
        "/networks", "/networks/bridge", "/system/df", "/info", '/events?since=0&until=1&filters={"image":["x"]}',
    ):  # fmt: skip
        assert (await server.ask(target)).status in (200, 404), target


def _elsewhere(call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **more: Any) -> Any:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return call(*args, **more)

    return called


async def test_ports_and_addresses(server: Server, host: FakeHost) -> None:
    host.config("a",
        State={"Health": {"Status": "unhealthy", "Log": [{"Output": CANARY}]}},
        Path="/bin/web",
        NetworkSettings={
            "Networks": {"bridge": {"IPAddress": "172.18.0.3", "IPPrefixLen": 16, "EndpointID": "e"}},
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
        },
    )  # fmt: skip
    (found,) = await object_of(server, '/containers/json?filters={"name":["^a$"]}')
    assert found["Command"] == "/bin/web"
    assert re.search(r" \(unhealthy \d+ \w+ ago\)$", found["Status"])  # Docker's file has what it was at the start
    assert found["Ports"] == [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]
    assert found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "172.18.0.3"
    one = await object_of(server, "/containers/a/json")
    assert one["State"]["Health"]["Status"] == "unhealthy" and CANARY not in str(one)
    assert one["NetworkSettings"]["IPAddress"] == "172.18.0.3"
    (network,) = await object_of(server, "/networks")
    assert network["Containers"][container_id("a")]["IPv4Address"] == "172.18.0.3/16"


# -- one


async def test_inspect(server: Server) -> None:
    for wanted in ("a", "docker:a", container_id("a"), container_id("a")[:12]):
        found = await object_of(server, f"/v1.45/containers/{wanted}/json")
        assert (found["Id"], found["Name"], found["State"]["Status"]) == (container_id("a"), "/a", "running")
        assert found["State"]["StartedAt"].startswith("2026-11-25T10:56:40.7191")
        assert (found["Args"], found["Mounts"], found["Config"]["Env"], found["Config"]["Cmd"]) == ([], [], [], [""])
    # what is not said of how it was made is empty
    assert (found["HostConfig"]["RestartPolicy"]["Name"], found["HostConfig"]["LogConfig"]["Type"]) == ("", "")
    assert found["HostConfig"]["PidsLimit"] is None and found["HostConfig"]["MemorySwap"] == 0


@pytest.fixture
def box(host: FakeHost) -> str:
    """A container of LXC, paused, which has a word for an id: its id here."""
    cgroup = {
        "cgroup.procs": "900\n", "cpu.stat": "usage_usec 1000000\nuser_usec 0\nsystem_usec 0\n", "io.stat": "",
        "memory.current": "4096\n", "memory.stat": "inactive_file 0\n", "memory.max": "max\n", "pids.current": "1\n",
        "cgroup.events": "populated 1\nfrozen 1\n",
    }  # fmt: skip
    write_files(
        str(host.path),
        {f"sys/fs/cgroup/lxc.payload.box/{file}": content for file, content in cgroup.items()}
        | {
            "proc/900/cgroup": "0::/lxc.payload.box\n",
            "proc/900/status": "Name:\tinit\nNSpid:\t900\t1\n",
            "proc/900/stat": "900 (init) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 500 0",
            "proc/900/cmdline": f"/sbin/init\0{CANARY}\0",
            "var/lib/lxc/box/config": "lxc.net.0.type = veth\nlxc.environment = SECRET=" + CANARY + "\n",
        },
    )
    return engine_id("lxc", 0, "box")


async def test_a_container_without_a_hexadecimal_id_has_one_here(server: Server, box: str) -> None:
    listed = {each["Id"]: each for each in await object_of(server, "/containers/json")}
    assert listed[box]["Names"] == ["/box"] and listed[box]["State"] == "paused"
    assert listed[box]["Labels"] == {"cgstatd.runtime": "lxc", "cgstatd.owner": "0"}
    assert listed[box]["Status"].startswith("Up ") and listed[box]["Created"] > 0
    assert listed[box]["Command"] == "init"  # its runtime keeps no command: the name of its first process
    image = listed[box]["ImageID"]
    assert (await object_of(server, f"/images/{image.removeprefix('sha256:')}/json"))["RepoTags"] == []
    for wanted in (box, box[:12], "box", "lxc:box"):
        assert (await object_of(server, f"/containers/{wanted}/json"))["Id"] == box
        assert (await object_of(server, f"/containers/{wanted}/stats?stream=0"))["id"] == box


# -- figures


async def test_figures_end_at_our_own_by_the_command_lines_formula(host: FakeHost) -> None:
    async with serving(host.sampler(), freshness=0.0) as server:
        await server.ask("/api/containers/a/stats")
        await asyncio.sleep(0.1)
        host.burn("a", 1_050_000)
        found = await object_of(server, "/v1.45/containers/a/stats?stream=0")
        ours = (await server.ask("/api/containers/a/stats")).json
    read, before = (datetime.fromisoformat(found[key]) for key in ("read", "preread"))
    window = (read - before).total_seconds()  # ours has another reading's: how much later says the machine
    assert cpu_percent(found) == pytest.approx(100 * 0.05 / window, rel=0.05) and ours["cpuPercent"] > 0
    memory = found["memory_stats"]
    assert memory["usage"] - memory["stats"]["inactive_file"] == ours["memoryUsage"]
    assert memory["limit"] == ours["memoryLimit"] == MEM_TOTAL and "max_usage" not in memory
    assert found["pids_stats"] == {"current": 1} and found["networks"]["eth0"]["rx_bytes"] == ours["networkRx"]
    assert "lo" not in found["networks"]
    assert found["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 8, "minor": 0, "op": "read", "value": 4096}, {"major": 8, "minor": 0, "op": "write", "value": 8192}
    ]  # fmt: skip
    assert found["cpu_stats"]["system_cpu_usage"] == (1000 + 1000 + 7000 + 500) * 10_000_000
    assert found["name"] == "/a" and found["id"] == container_id("a")
    assert found["preread"] < found["read"]


async def test_an_answer_is_compared_with_the_baseline_and_one_shot_with_nothing(
    server: Server, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second reading is waited for: it would take an hour."""
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 3600.0)
    await server.feed.run(server.sampler.baselines)
    await asyncio.sleep(0.05)
    host.burn("a", 1_040_000)
    found = await object_of(server, "/containers/a/stats?stream=false")
    assert found["precpu_stats"]["cpu_usage"]["total_usage"] == 1_000_000_000
    assert found["cpu_stats"]["cpu_usage"]["total_usage"] == 1_040_000_000
    found = await object_of(server, "/containers/a/stats?stream=0&one-shot=1")
    assert found["precpu_stats"]["cpu_usage"]["total_usage"] == 0 and found["preread"].startswith("0001-")
    assert found["cpu_stats"]["cpu_usage"]["total_usage"] == 1_040_000_000
    for query in ("?stream=0", "?stream=0&one-shot=1"):
        found = await object_of(server, f"/containers/stopped/stats{query}")
        assert found["read"] == "0001-01-01T00:00:00Z" and found["memory_stats"] == {}
        assert found["cpu_stats"]["cpu_usage"]["total_usage"] == 0 and found["name"] == "/stopped"


async def test_a_stream_is_an_object_a_second_each_compared_with_the_one_before(server: Server, host: FakeHost) -> None:
    async with server.connection() as connection:
        connection.send("/v1.45/containers/a/stats?stream=1")
        answer = await connection.head()
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        first = json.loads(await connection.chunk(answer))
        host.burn("a", 2_000_000)
        second = json.loads(await connection.chunk(answer))
    assert second["precpu_stats"]["cpu_usage"]["total_usage"] == first["cpu_stats"]["cpu_usage"]["total_usage"]
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] == 2_000_000_000
    assert second["preread"] == first["read"]


async def test_a_stream_goes_on_while_its_container_is_stopped_and_ends_with_it(server: Server, host: FakeHost) -> None:
    async with server.connection() as connection:
        connection.send("/containers/a/stats")
        answer = await connection.head()
        await connection.chunk(answer)
        host.config("a", State={"Running": False, "Pid": 0})
        host.remove("a")
        while json.loads(await connection.chunk(answer))["read"] != "0001-01-01T00:00:00Z":
            pass
        shutil.rmtree(host.path / "var/lib/docker/containers" / container_id("a"))
        while await connection.chunk(answer):
            pass


async def test_requests_that_come_together_are_one_reading(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, reads = list[Any](), list[Any]()
    monkeypatch.setattr(EngineReader, "begin", noted(begun, EngineReader.begin))
    monkeypatch.setattr(EngineReader, "read", noted(reads, EngineReader.read))
    await asyncio.gather(*(object_of(server, f"/containers/{n}/stats?stream=0&one-shot=1") for n in "abc" * 10))
    assert len(begun) < 15 and len(reads) < 20


async def test_whatever_is_asked_for_is_listed_once(server: Server, monkeypatch: pytest.MonkeyPatch, box: str) -> None:
    await object_of(server, "/containers/json?all=1")
    listed: list[Any] = []
    monkeypatch.setattr(server.feed.sampler, "containers", noted(listed, server.feed.sampler.containers))
    names = (container_id("a"), container_id("a")[:12], "a", "docker:a", "stopped", container_id("stopped"), "box", box,
             box[:12])  # fmt: skip
    for number, wanted in enumerate(names, 1):
        await object_of(server, f"/containers/{wanted}/stats?stream=0&one-shot=1")
        assert len(listed) == number, wanted


async def test_streams_of_a_container_share_each_seconds_bytes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []
    monkeypatch.setattr(stats, "_stats", noted(encoded, stats._stats))
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(60):
        connections = [await stack.enter_async_context(server.connection()) for _ in range(8)]
        for connection in connections:
            connection.send("/v1.45/containers/a/stats")
        answers = [await connection.head() for connection in connections]
        for _ in range(3):
            for connection, answer in zip(connections, answers, strict=True):
                await connection.chunk(answer)
    keys = [(found.time_ns, before) for found, before in encoded]
    assert len(keys) == len(set(keys))  # each object of a second is made once, however many streams send it


async def test_an_unreadable_file_costs_its_container_alone(server: Server, host: FakeHost) -> None:
    host.make_unreadable("a", "cpu.stat")
    answer = await server.ask("/containers/a/stats?stream=0")
    assert answer.status == 500 and "cpu.stat" in answer.json["message"]
    assert (await server.ask("/containers/b/stats?stream=0")).status == 200


# -- top


def process(host: FakeHost, pid: int, parent: int, *, name: str = "sh", rest: str = "") -> None:
    fields = f"{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 500 {rest}"
    write_files(str(host.path), {f"proc/{pid}/stat": fields, f"proc/{pid}/cmdline": f"sh\0-c\0{CANARY}\0"})


async def topped(server: Server, ps_args: str = "") -> list[dict[str, str]]:
    found = await object_of(server, f"/v1.45/containers/a/top?ps_args={ps_args}")
    return [dict(zip(found["Titles"], row, strict=True)) for row in found["Processes"]]


def first_pid(host: FakeHost, name: str = "a") -> int:
    return int((host.scope(name) / "cgroup.procs").read_text().split()[0])


async def test_top_has_programs_and_no_arguments(server: Server, host: FakeHost) -> None:
    pid = first_pid(host)
    process(host, pid, 7, name=f"sh (x) {CANARY[:3]}")
    for ps_args in ("", "-ef", "-eaf"):
        (found,) = await topped(server, ps_args)
        assert list(found) == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        assert (found["PID"], found["PPID"], found["TIME"], found["CMD"]) == (
            str(pid), "7", "00:00:03", f"sh (x) {CANARY[:3]}"
        )  # fmt: skip


async def test_top_has_the_processes_of_nested_cgroups(server: Server, host: FakeHost) -> None:
    """A container with systemd in it has none in its own."""
    pid = first_pid(host)
    folder = str(host.scope("a").relative_to(host.path))
    write_files(
        str(host.path),
        {f"{folder}/init/cgroup.procs": "901\n", f"{folder}/system/a.service/cgroup.procs": "902\n903\n",
         f"{folder}/system/cgroup.procs": ""},
    )  # fmt: skip
    for number in (pid, 901, 902, 903):
        process(host, number, 1)
    assert [each["PID"] for each in await topped(server)] == [str(each) for each in (pid, 901, 902, 903)]


async def test_top_honours_what_the_kernel_says_without_arguments(server: Server, host: FakeHost) -> None:
    pid = first_pid(host)
    process(host, pid, 7, name="sleep", rest="2367488 361")
    (found,) = await topped(server, "-o%20pid,ppid,user,comm,etimes,stat,rss,vsz,nlwp")
    assert {key: found[key] for key in found if key != "ELAPSED"} == {
        "PID": str(pid), "PPID": "7", "USER": found["USER"], "COMMAND": "sleep", "STAT": "S", "RSS": "1444",
        "VSZ": "2312", "NLWP": "1",
    }  # fmt: skip
    assert found["ELAPSED"].isdigit()
    (found,) = await topped(server, "aux")
    assert list(found) == [
        "USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"
    ]  # fmt: skip
    assert (found["TIME"], found["COMMAND"], found["RSS"]) == ("0:03", "sleep", "1444")
    for ps_args in ("-eo%20pid=P,comm=WHAT", "axo%20pid=P%20-ocomm=WHAT", "--format%20pid=P,comm=WHAT"):
        assert await topped(server, ps_args) == [{"P": str(pid), "WHAT": "sleep"}]


# -- events


async def lines(server: Server, target: str, number: int) -> list[dict[str, Any]]:
    async with server.connection() as connection:
        connection.send(target)
        answer = await connection.head()
        assert answer.status == 200
        found: list[dict[str, Any]] = []
        while len(found) < number:
            found += [json.loads(line) for line in (await connection.chunk(answer)).splitlines()]
        return found


async def test_events_of_the_past_are_those_that_the_state_on_disk_says(server: Server) -> None:
    found = await server.ask(f'/v1.45/events?since=0&until={time.time():.3f}&filters={{"container":["a"]}}')
    happened = [json.loads(line) for line in found.body.splitlines()]
    assert [(each["Action"], each["Actor"]["Attributes"]["name"]) for each in happened] == [("start", "a")]


async def test_clients_of_the_same_past_share_its_bytes_however_late_they_come(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unread(*_: Any) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    past = await server.ask(f"/events?since=0&until={time.time():.3f}")
    server.parts.bodies.budget = len(past.body)
    server.parts.engine.events._recorded._fresh = 0.0  # each has the past read anew
    monkeypatch.setattr(engine_streams, "_told", unread)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            connection = await stack.enter_async_context(server.connection())
            connection.send("/events?since=0")
            assert (await connection.head()).status == 200


async def test_events_as_they_happen(server: Server, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renames and pauses too: tests/golden/test_story.py."""
    monkeypatch.setattr(engine_events, "LOOK_SECONDS", 0.05)
    async with server.connection() as connection:
        connection.send("/events")
        answer = await connection.head()
        assert answer.status == 200

        async def until(action: str) -> dict[str, Any]:
            while True:
                for line in (await connection.chunk(answer)).splitlines():
                    found: dict[str, Any] = json.loads(line)
                    if found["Action"] == action:
                        return found

        host.add("new")
        assert (await until("start"))["Actor"]["Attributes"]["name"] == "new"
        when = "2026-11-25T10:57:40.5Z"
        host.config("new", State={"Running": False, "Pid": 0, "ExitCode": 137, "FinishedAt": when})
        host.remove("new")
        assert (await until("die"))["Actor"]["Attributes"]["exitCode"] == "137"
        shutil.rmtree(host.path / "var/lib/docker/containers" / container_id("new"))
        assert (await until("destroy"))["id"] == container_id("new")


def test_short_lines_of_the_past_are_written_together() -> None:
    """However many there are, the event loop makes a write of each 32 KiB; a long line is never copied."""
    lines, long = [b"x" * 300] * 7000, b"y" * 100_000
    pieces = list(engine_streams._pieces([*lines, long, b"z"]))
    assert b"".join(pieces) == b"".join(lines) + long + b"z" and len(pieces) < 80
    assert any(each is long for each in pieces) and list(engine_streams._pieces([])) == []


# -- images and networks


async def test_an_image_that_a_container_names(server: Server) -> None:
    """It has neither size nor date, which docker images shows as ``N/A`` and ``0B``."""
    (found,) = await object_of(server, "/images/json")
    assert (found["RepoTags"], found["Containers"]) == (["lab/busybox:1"], 5)
    assert (found["Created"], found["Size"]) == (-62_135_596_800, 0)
    one = await object_of(server, "/v1.45/images/lab/busybox:1/json")
    assert one["RepoTags"] == ["lab/busybox:1"] and "Size" not in one and one["Created"] == "0001-01-01T00:00:00Z"
    df = await object_of(server, "/system/df")
    assert len(df["Containers"]) == 5 and len(df["Images"]) == 1


async def test_how_a_container_was_made(server: Server, host: FakeHost) -> None:
    volume = {"Name": "data", "Driver": "local", "RW": False, "Source": CANARY, "Destination": CANARY}
    host.config("a", Config={"Hostname": "web.internal", "Tty": True},
        MountPoints={CANARY: volume, "/bound": {"Source": CANARY, "Destination": "/bound", "Name": "", "RW": True}},
    )  # fmt: skip
    path = host.path / "var/lib/docker/containers" / container_id("a") / "hostconfig.json"
    limits = {
        "Memory": 64 << 20, "MemorySwap": 100 << 20, "NanoCpus": 500_000_000, "CpuQuota": 0, "CpuPeriod": 0,
        "PidsLimit": 55, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    }  # fmt: skip
    path.write_text(json.dumps(limits | {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": CANARY}}}))
    found = await object_of(server, "/containers/a/json")
    assert limits.items() <= found["HostConfig"].items()
    assert found["HostConfig"]["LogConfig"] == {"Type": "splunk", "Config": {}}
    assert (found["Config"]["Hostname"], found["Config"]["Tty"]) == ("web.internal", True)
    (mount,) = found["Mounts"]
    assert (mount["Type"], mount["Name"], mount["Driver"], mount["RW"]) == ("volume", "data", "local", False)
    assert (mount["Source"], mount["Destination"]) == ("", "")
    (listed,) = await object_of(server, '/containers/json?filters={"volume":["data"]}')
    assert (listed["Names"], listed["Mounts"]) == (["/a"], [mount])
    (volume,) = (await object_of(server, "/volumes"))["Volumes"]
    assert (volume["Name"], volume["Driver"], volume["UsageData"]["RefCount"]) == ("data", "local", 1)
    assert await object_of(server, "/volumes/data") == volume
    assert (await object_of(server, "/system/df"))["Volumes"] == [volume]


async def test_a_networks_driver(server: Server, host: FakeHost) -> None:
    network, label = "ab" * 32, json.dumps('"networkType":"evil"')
    store = (
        b"\0\1ack" + f'{{"id":"{network}","labels":{{"x":{label}}},"name":"shop","networkType":"macvlan"}}'.encode()
        + f'{{"id":"{"cd" * 32}","key":"endpoint"}}{{"id":"{"ef" * 32}","networkType":"bridge"}}'.encode()
    )  # fmt: skip
    write_files(str(host.path), {"var/lib/docker/network/files/local-kv.db": store})
    networks = {"shop": {"NetworkID": network}, "gone": {"NetworkID": "cd" * 32}, "net": {"NetworkID": "ef" * 32}}
    host.config("a", NetworkSettings={"Networks": networks})
    found = {each["Name"]: each["Driver"] for each in await object_of(server, "/networks")}
    assert found == {"shop": "macvlan", "gone": "", "net": "bridge"}


# -- secrets


@pytest.fixture
async def planted(host: FakeHost, quick: None) -> AsyncIterator[Server]:
    """A server over a host with secrets wherever an engine keeps some."""
    for name in ("a", "stopped"):
        host.config(name,
            Path="/bin/sh",
            Args=["-c", CANARY],
            State={"Error": CANARY, "Health": {"Status": "healthy", "Log": [{"Output": CANARY}]}},
            Config={
                "Env": [f"PASSWORD={CANARY}"], "Cmd": [CANARY], "Entrypoint": [CANARY], "Domainname": CANARY,
                "Healthcheck": {"Test": ["CMD-SHELL", CANARY]}, "User": CANARY, "WorkingDir": CANARY,
                "Volumes": {CANARY: {}}, "OnBuild": [CANARY], "Shell": [CANARY], "StopSignal": CANARY,
            },
            MountPoints={CANARY: {"Source": CANARY, "Destination": CANARY, "Name": "data", "Spec": {CANARY: CANARY}}},
            NetworkSettings={"Networks": {"shop": {"Aliases": [CANARY], "DriverOpts": {CANARY: CANARY}}}},
            LogPath=CANARY,
            SecretReferences=[{"SecretName": CANARY}],
        )  # fmt: skip
        path = host.path / "var/lib/docker/containers" / container_id(name) / "hostconfig.json"
        others = {"Binds": [CANARY], "Annotations": {CANARY: CANARY}, "Sysctls": {CANARY: CANARY}, "Links": [CANARY]}
        others |= {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": CANARY}}, "ExtraHosts": [CANARY]}
        path.write_text(json.dumps(json.loads(path.read_text()) | others))
    async with serving(host.sampler()) as server:
        yield server


async def test_no_secret_is_in_any_answer(planted: Server) -> None:
    said = b""
    for route in ENGINE_ROUTES:
        for container in ("a", "stopped", "nope"):
            target = filled(route.path.replace("{container}", container))
            query = f"?stream=0&since=0&until={time.time():.0f}&all=1"
            said += (await planted.ask(target + query + '&filters={"type":["container"]}' * ("events" in target))).body
    for path in ("/api/containers", "/api/containers/a/detail", "/api/containers/stats", "/metrics", "/_hawser/info"):
        found = await planted.ask(path)
        assert found.status == 200, (path, found.status)
        said += found.body
    for filters in ('{"label":["x"]}', '{"volume":["x"]}', '{"nope":["x"]}', '{"health":["healthy"]}'):
        said += (await planted.ask(f"/containers/json?all=1&filters={filters}")).body
    assert b"shop" in said and b"/bin/sh" in said and b'"data"' in said and b"splunk" in said
    assert CANARY.encode() not in said


# -- everything else


OTHERS = (
    "/containers/create /containers/a/start /containers/a/stop /containers/a/exec /containers/a/logs "
    "/containers/a/attach /containers/a/archive /containers/a/export /containers/a/changes /containers/a/attach/ws "
    "/containers/a /images/create /images/x /images/x/history /images/search /build /build/prune /commit /auth "
    "/exec/1/json /exec/1/start /networks/x/connect /networks/x/y /volumes/x/y /volumes/prune/x /swarm "
    "/swarm/unlockkey /nodes /services /tasks /secrets /configs /plugins /session /grpc /distribution/x/json "
    "/system/df/x /info/ /_ping/x /version/1 /events/x"
).split()


async def test_everything_else_is_refused_with_one_sentence(server: Server) -> None:
    """Other paths by any method, and the paths that are served by any but GET and HEAD."""
    asked = [(method, prefix + target) for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")
             for prefix in ("", "/v1.45") for target in OTHERS]  # fmt: skip
    asked += [(method, filled(route.path)) for route in ENGINE_ROUTES
              for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND")]  # fmt: skip
    async with server.connection() as connection:
        for method, target in asked:
            connection.send(target, method=method)
            answer = await connection.answer(method=method)
            assert answer.status == 403, (method, target)
            assert method == "HEAD" or answer.json == {"message": READ_ONLY}


def test_every_path_is_documented(request: pytest.FixtureRequest) -> None:
    words = (Path(request.config.rootpath) / "docs/http-api.md").read_text("utf-8")
    paths = [route.path.replace("{container}", "{id}") for route in (*ENGINE_ROUTES, *HAWSER_ROUTES)
             if "{version}" not in route.path]  # fmt: skip
    assert [path for path in paths if f"`{path}`" not in words] == []
