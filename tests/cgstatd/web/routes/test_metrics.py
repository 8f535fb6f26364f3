"""GET /metrics."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from cgroupfs import Vitals
from cgstatd.config.settings import DEFAULT_LABELS
from cgstatd.feed.lives import GONE_SECONDS
from cgstatd.feed.workloads import MOST_STOPPED
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata
from cgstatd.outputs.container_labels import MAX_LABELS, label_names
from cgstatd.sampling.history_work import life_of
from cgstatd.sampling.round import Changes, Ended, Killed
from fakehost import MEM_TOTAL, FakeHost, container_id
from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import Answer, Server, agent, serving

OPENMETRICS = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
Series = dict[tuple[str, str], dict[str, float]]
Found = dict[str, list[tuple[dict[str, str], float]]]


def series(answer: Answer) -> Found:
    """Series by name."""
    assert answer.status == 200
    openmetrics = answer.headers["content-type"].startswith("application/openmetrics-text")
    found: Found = {}
    for family in (parse_openmetrics if openmetrics else parse_text)(answer.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def of(found: Found, name: str, container: str) -> list[float]:
    return [value for labels, value in found.get(name, []) if labels["name"] == container]


async def test_cadvisors_names_and_labels(server: Server) -> None:
    found = series(await server.ask("/metrics"))
    labels, value = next(s for s in found["container_cpu_usage_seconds_total"] if s[0]["name"] == "a")
    path = f"/system.slice/docker-{container_id('a')}.scope"
    assert labels == {"id": path, "name": "a", "image": "lab/busybox:1", "cpu": "total"}
    assert value == 1.0
    assert of(found, "container_memory_usage_bytes", "a") == [3 << 20]
    assert of(found, "container_memory_working_set_bytes", "a") == [2 << 20]
    assert of(found, "container_network_receive_bytes_total", "a") == [1000]
    assert of(found, "container_fs_reads_bytes_total", "a") == [4096]
    assert of(found, "container_processes", "a") == [1]
    assert found["machine_memory_bytes"] == [({}, MEM_TOTAL)]
    assert found["cgstatd_containers"] == [({}, 4)]  # the paused one too, the stopped one not
    assert found["cgstatd_passes_total"] == [({}, 0)]  # a scrape needs none
    assert "cgstatd_build_info" in found


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ('application/openmetrics-text;version="1.0.0"', "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;version=2.7.1-smuggled", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0;escaping=<x>", "application/openmetrics-text; version=1.0.0; "
         "charset=utf-8"),
        ("application/openmetrics-text;q=0", "text/plain; version=0.0.4; charset=utf-8"),
        ('application/openmetrics-text;version="', "text/plain; version=0.0.4; charset=utf-8"),
        (";,=" * 2000, "text/plain; version=0.0.4; charset=utf-8"),
    ],
)  # fmt: skip
async def test_no_accept_header_is_a_failure_or_comes_back(server: Server, accept: str, content_type: str) -> None:
    answer = await server.ask("/metrics", f"Accept: {accept}")
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.body.endswith(b"# EOF\n") is ("openmetrics" in content_type)


async def test_what_is_not_known_is_no_series_and_never_0(server: Server, host: FakeHost) -> None:
    found = series(await server.ask("/metrics"))
    for name in ("container_spec_memory_limit_bytes", "container_spec_cpu_quota", "container_memory_swap",
                 "container_memory_failcnt", "container_oom_events_total"):  # fmt: skip
        assert name not in found
    assert of(found, "container_memory_rss", "a") == [1]
    assert "container_pressure_cpu_waiting_seconds_total" not in found


async def test_openmetrics_where_it_is_asked_for(server: Server) -> None:
    answer = await server.ask("/metrics", OPENMETRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")
    plain = await server.ask("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    one, other = series(answer), series(plain)
    assert set(one) == set(other)
    assert one["container_cpu_usage_seconds_total"] == other["container_cpu_usage_seconds_total"]


async def test_label_values_are_input(server: Server, host: FakeHost) -> None:
    evil = 'x"} 1\nevil_metric{a="\\'
    host.add("evil")
    host.on_disk("evil", running=True, shown=evil)
    labels = {DEFAULT_LABELS[0]: "pro\njekt" * 100, "other": "no"}
    host.config("evil", Config={"Image": 'im"age\\\n\x00', "Labels": labels})
    for accept in ("", OPENMETRICS):
        found = series(await server.ask("/metrics", *filter(None, [accept])))
        assert "evil_metric" not in found
        labels = next(s[0] for s in found["container_last_seen"] if s[0]["name"].startswith("x"))
        assert "\n" not in labels["name"] and labels["name"].startswith('x"} 1')
        assert len(labels["container_label_com_docker_compose_project"]) == 128
        assert set(labels) == {"id", "name", "image", "container_label_com_docker_compose_project"}


def test_label_names_are_bounded_valid_and_unique() -> None:
    assert label_names(["a.b", "a-b", "c", "é"]) == {
        "a.b": "container_label_a_b", "c": "container_label_c", "é": "container_label__"
    }  # fmt: skip
    assert len(label_names([str(n) for n in range(100)])) == MAX_LABELS


async def test_the_host_has_node_exporters_names(recorded_server: Server) -> None:
    found = series(await recorded_server.ask("/metrics"))
    assert len(found["node_cpu_seconds_total"]) == 2 * 8 and found["machine_cpu_cores"] == [({}, 2)]
    assert found["node_memory_MemTotal_bytes"] == found["machine_memory_bytes"]
    assert {"node_load15", "node_pressure_io_stalled_seconds_total", "node_boot_time_seconds"} < set(found)
    assert "eth0" in [labels["device"] for labels, _ in found["node_network_receive_bytes_total"]]


def test_the_hosts_figures_can_be_switched_off() -> None:
    options = ("--host-root", recorded_host(UNIFIED), "--listen", "127.0.0.1:0", "--no-host-metrics")
    with agent(*options) as running, urllib.request.urlopen(f"http://127.0.0.1:{running.port}/metrics") as answer:
        text = answer.read().decode()
    assert "\nnode_" not in text and "container_last_seen" in text and "\nmachine_cpu_cores 2.0\n" in text


def test_which_container_labels_become_metric_labels_is_configured() -> None:
    options = ("--host-root", recorded_host(UNIFIED), "--listen", "127.0.0.1:0", "--metric-labels", "app")
    with agent(*options) as running, urllib.request.urlopen(f"http://127.0.0.1:{running.port}/metrics") as answer:
        text = answer.read().decode()
    assert 'container_label_app="' in text
    assert "com_docker_compose" not in text


async def test_a_shared_network_is_counted_with_its_owner_alone(server: Server, host: FakeHost) -> None:
    nets = []
    for name in "ab":
        pid = (host.scope(name) / "cgroup.procs").read_text().strip()
        nets.append(host.path / f"proc/{pid}/net/dev")
    nets[0].unlink()
    os.link(nets[1], nets[0])
    path = host.path / f"var/lib/docker/containers/{container_id('a')}/hostconfig.json"
    path.write_text(json.dumps({"NetworkMode": f"container:{container_id('b')}"}))
    found = series(await server.ask("/metrics"))
    assert of(found, "container_network_receive_bytes_total", "b") == [1000]
    assert of(found, "container_network_receive_bytes_total", "a") == []


async def test_interfaces_of_one_container_are_bounded(server: Server, host: FakeHost) -> None:
    pid = (host.scope("a") / "cgroup.procs").read_text().strip()
    path = host.path / f"proc/{pid}/net/dev"
    line = "  v{}: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    path.write_text(path.read_text() + "".join(line.format(n) for n in range(500)))
    found = series(await server.ask("/metrics"))
    assert len(of(found, "container_network_receive_bytes_total", "a")) == 32


async def test_a_stacked_device_is_no_series(server: Server, host: FakeHost) -> None:
    host.set("a", "io.stat", "8:0 rbytes=10 wbytes=1 rios=1 wios=1\n254:0 rbytes=10 wbytes=1\n")
    (host.path / "sys/dev/block/254:0/slaves/sda").mkdir(parents=True)
    (host.path / "sys/dev/block/8:0").mkdir()
    (host.path / "sys/dev/block/8:0/uevent").write_text("DEVNAME=sda\n")
    found = series(await server.ask("/metrics"))
    reads = [(labels["device"], value) for labels, value in found["container_fs_reads_bytes_total"]
             if labels["name"] == "a"]  # fmt: skip
    assert reads == [("/dev/sda", 10)]


async def test_scrapers_that_come_together_share_a_reading(server: Server) -> None:
    answers = await asyncio.gather(*(server.ask("/metrics") for _ in range(5)))
    assert len({answer.body for answer in answers}) == 1


async def test_a_host_without_containers_has_metrics_of_its_own(tmp_path: Path, quick: None) -> None:
    async with serving(FakeHost(tmp_path).sampler()) as server:
        found = series(await server.ask("/metrics"))
        assert found["cgstatd_containers"] == [({}, 0)]


async def test_a_container_that_is_stopping_is_left_out(server: Server, host: FakeHost) -> None:
    await server.ask("/api/containers/stats")
    (host.scope("a") / "cgroup.procs").write_text("")
    found = series(await server.ask("/metrics"))
    assert of(found, "container_last_seen", "b") and not of(found, "container_last_seen", "a")


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_the_lines_are_those_of_the_librarys_own_encoder(recorded_server: Server, openmetrics: bool) -> None:
    answer = await recorded_server.ask("/metrics", *([OPENMETRICS] if openmetrics else []))
    registry = CollectorRegistry(auto_describe=False)
    families = list((parse_openmetrics if openmetrics else parse_text)(answer.body.decode()))
    registry.register(Parsed(families))
    theirs = (encode_openmetrics if openmetrics else generate_latest)(registry).decode()
    assert parsed(answer.body.decode(), openmetrics) == parsed(theirs, openmetrics)
    # HELP and TYPE are the same to the letter, and so is every name with its braces
    assert comments(answer.body.decode()) == comments(theirs)


class Parsed(Collector):
    """Families that were parsed, to be encoded again."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        return self.families


def parsed(text: str, openmetrics: bool) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
    families = (parse_openmetrics if openmetrics else parse_text)(text)
    return {(s.name, frozenset(s.labels.items()), s.value) for family in families for s in family.samples}


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (package prometheus)")
async def test_promtool_has_nothing_to_say(server: Server, recorded_server: Server) -> None:
    for each in (server, recorded_server):
        promtool(await each.ask("/metrics"))


def promtool(answer: Answer) -> None:
    found = subprocess.run(["promtool", "check", "metrics"], input=answer.body, capture_output=True, check=False)
    said = [line for line in (found.stdout + found.stderr).splitlines() if not line.startswith(b"node_memory_")]
    assert said == []  # node_memory_MemTotal_bytes is in camel case where it comes from
    assert found.returncode in (0, 3)  # 3: of what it said, all was of those


def recorded(host: FakeHost, name: str, restarts: int, labels: dict[str, str], shown: str, **state: Any) -> None:
    """What the engine says of a container: its restarts, labels and name."""
    host.config(name, RestartCount=restarts, Name=f"/{shown}", Config={"Labels": labels}, State=state)


SHOP = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
}


@pytest.mark.parametrize("accept", [(), (OPENMETRICS,)])
async def test_restarts_have_the_workload_and_no_id(tmp_path: Path, quick: None, accept: tuple[str, ...]) -> None:
    host = FakeHost(tmp_path)
    for name in ("a", "b", "c"):
        host.add(name)
    recorded(host, "a", 3, SHOP, "shop-web-1")
    recorded(host, "b", 2, SHOP, "shop-web-1")  # made anew while the one before is still there
    recorded(host, "c", 7, {}, "c", Running=True, Restarting=True, ExitCode=3)
    async with serving(host.sampler()) as server:
        found = series(await server.ask("/metrics", *accept))
        listed = {each["id"]: each for each in (await server.ask("/api/containers")).json}
    assert sorted(found["container_restarts_total"], key=lambda each: each[1]) == [
        ({"name": "shop-web-1", "workload": "compose:shop/web/1"}, 5),
        ({"name": "c", "workload": "docker:c"}, 7),
    ]
    assert found["container_last_terminated_exitcode"] == [({"name": "c", "workload": "docker:c"}, 3)]
    assert {listed[container_id(name)]["workload"] for name in "ab"} == {"compose:shop/web/1"}


def the_end(identity: Identity, code: int, oom_killed: bool = False) -> Changes:
    return Changes(ended=[Ended(identity, None, None, code, None, None, None, oom_killed, None, None)])


async def test_how_the_life_before_ended_is_kept_by_workload(server: Server, host: FakeHost) -> None:
    before = series(await server.ask("/metrics"))
    assert "container_last_terminated_exitcode" not in before and "container_flapping" not in before
    lives = server.parts.follower.lives
    lives.complete = True
    identity = next(each.identity for each in server.feed.sampler.containers() if each.identity.name == "a")
    labels = {"name": "a", "workload": "docker:a"}
    for number in range(4):
        lives.hear(the_end(identity._replace(id=f"{number}"), 137, oom_killed=True))
        lives.hear(Changes(started=[identity._replace(id=f"{number + 1}")]))
    server.parts.scraper.scrape.forget()
    found = series(await server.ask("/metrics"))
    assert [each for each in found["container_last_terminated_exitcode"] if each[0] == labels] == [(labels, 137)]
    assert found["container_last_terminated_reason"] == [({**labels, "reason": "OOMKilled"}, 1)]
    assert (labels, 1) in found["container_flapping"]
    assert [value for each, value in found["container_flapping"] if each["name"] == "b"] == [0]
    lives.hear(the_end(identity, 0))
    server.parts.scraper.scrape.forget()
    found = series(await server.ask("/metrics"))
    assert found["container_last_terminated_reason"] == [({**labels, "reason": "Completed"}, 1)]  # one series still
    lives.hear(the_end(identity._replace(owner_uid=1000), 5))
    server.parts.scraper.scrape.forget()
    codes = series(await server.ask("/metrics"))["container_last_terminated_exitcode"]
    assert sorted(codes, key=lambda each: each[1]) == [(labels, 0), ({**labels, "workload": "docker:a@1000"}, 5)]


def states(found: Found) -> dict[str, str]:
    """Name -> state; each has one."""
    several = [(labels["name"], labels["state"]) for labels, value in found["container_state"] if value == 1]
    assert len(several) == len(dict(several)) == len(found["container_state"])
    return dict(several)


async def test_a_workload_has_its_state_and_its_last_end_whether_it_runs_or_not(server: Server, host: FakeHost) -> None:
    host.on_disk("failed")
    ended = {"Running": False, "ExitCode": 3, "FinishedAt": "2026-11-25T11:00:00Z"}
    recorded(host, "failed", 4, SHOP, "shop-web-1", **ended)
    host.on_disk("again")
    recorded(host, "again", 9, {}, "again", **(ended | {"Running": True, "Restarting": True, "OOMKilled": True}))
    found = series(await server.ask("/metrics"))
    assert states(found) == {
        "a": "running", "b": "running", "c": "running", "paused": "paused", "stopped": "exited",
        "shop-web-1": "exited", "again": "restarting",
    }  # fmt: skip
    assert of(found, "container_last_terminated_exitcode", "shop-web-1") == [3]
    assert of(found, "container_restarts_total", "shop-web-1") == [4]
    assert of(found, "container_last_terminated_timestamp_seconds", "shop-web-1") == [1795604400]
    reasons = {labels["name"]: labels["reason"] for labels, _ in found["container_last_terminated_reason"]}
    assert reasons == {"shop-web-1": "Error", "again": "OOMKilled"}
    assert not of(found, "container_last_seen", "again") and found["cgstatd_containers"] == [({}, 4)]
    assert found["cgstatd_workloads_left_out"] == [({}, 0)]


async def test_one_that_is_gone_is_told_of_for_an_hour_and_one_that_is_back_runs(
    server: Server, host: FakeHost
) -> None:
    lives = server.parts.follower.lives
    gone = Identity("0", "job", "docker", 0, Metadata("docker", "0", "job"))
    back = next(each.identity for each in server.feed.sampler.containers() if each.identity.name == "a")
    for identity in (gone, back):
        lives.hear(the_end(identity, 137, oom_killed=True))
    lives.hear(Changes(started=[back]))
    found = series(await server.ask("/metrics"))
    assert (states(found)["job"], states(found)["a"]) == ("exited", "running")
    for name in ("job", "a"):
        assert of(found, "container_last_terminated_exitcode", name) == [137]
    lives._clock = lambda: time.monotonic() + GONE_SECONDS + 1
    server.parts.scraper.scrape.forget()
    found = series(await server.ask("/metrics"))
    assert "job" not in states(found) and of(found, "container_last_terminated_exitcode", "a") == [137]


async def test_one_that_is_just_ending_keeps_its_series(server: Server, host: FakeHost) -> None:
    """Its processes are gone and its cgroup is there for a moment: there is nothing to read of it."""
    await server.ask("/api/containers/stats")
    (host.scope("a") / "cgroup.procs").write_text("")
    found = series(await server.ask("/metrics"))
    assert not of(found, "container_last_seen", "a") and states(found)["a"] == "running"
    assert of(found, "container_oom_kills_total", "b") == [] == of(found, "container_oom_kills_total", "a")


async def test_kills_are_counted_by_workload_through_its_lives_each_once(server: Server, host: FakeHost) -> None:
    """Those of before the agent are not: its own start is no kill."""
    (host.scope("a") / "memory.events").write_text("oom_kill 5\n")

    async def kills() -> float:
        server.parts.scraper.scrape.forget()
        [value] = of(series(await server.ask("/metrics")), "container_oom_kills_total", "a")
        return value

    def killed(total: int) -> None:
        host.set("a", "memory.events", f"oom_kill {total}\n")
        host.burn("a", 1_000_000 + total)

    lives = server.parts.follower.lives
    assert await kills() == 0
    killed(7)
    assert await kills() == 2
    [container] = [each for each in server.feed.sampler.containers() if each.identity.name == "a"]
    told = Killed(container.identity, 3, 8, Vitals(None, None, None), None, life_of(container))
    lives.hear(Changes(killed=[told]))  # by a look that saw one more
    assert await kills() == 3
    killed(8)
    assert await kills() == 3
    host.recreate("a")
    (host.scope("a") / "memory.events").write_text("oom_kill 1\n")
    lives.hear(the_end(container.identity, 137))
    assert await kills() == 4


async def test_a_users_many_short_containers_leave_room_for_all_others(server: Server, host: FakeHost) -> None:
    lives = server.parts.follower.lives
    for number in range(MOST_STOPPED + 300):
        user = Metadata("podman", f"{number}", f"j{number}", owner_uid=1000)
        lives.hear(the_end(Identity(user.id, user.name, "podman", 1000, user), 1))
    for number in range(20):
        system = Metadata("podman", f"s{number}", f"s{number}")
        lives.hear(the_end(Identity(system.id, system.name, "podman", 0, system), 1))
    found = series(await server.ask("/metrics"))
    names = states(found)
    assert {"stopped", *(f"s{number}" for number in range(20))} < set(names)
    assert len(names) == MOST_STOPPED + 4
    assert found["cgstatd_workloads_left_out"] == [({}, 300 + 20 + 1)]
    assert f"j{MOST_STOPPED + 299}" in names and "j0" not in names, "the oldest give way"


async def test_a_scrape_opens_no_state_file_that_has_not_changed(
    server: Server, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        host.on_disk(f"stopped{number}")
    for path in (host.path / "var/lib/docker/containers").rglob("*.json"):
        os.utime(path, (1e9, 1e9))  # long settled
    names: list[str] = []
    original = os.open

    def noted(path: str, *a: Any, **k: Any) -> int:
        names.append(str(path))
        return original(path, *a, **k)

    monkeypatch.setattr(os, "open", noted)
    await server.ask("/metrics")
    assert len([name for name in names if name.endswith(".json")]) >= 2 * 25
    names.clear()
    server.parts.scraper.scrape.forget()
    assert len(states(series(await server.ask("/metrics")))) == 25
    assert [name for name in names if name.endswith(".json")] == []


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_what_waited_is_counted_by_resource_and_cause_with_the_containers_labels(
    server: Server, accept: str
) -> None:
    watch = server.agent.pressure
    watch.waits = {
        container_id("a"): Counter({("cpu", "own_limit"): 3, ("io", "neighbours"): 1}),
        container_id("gone"): Counter({("cpu", "itself"): 9}),
    }
    watch.fires, watch.looks = Counter({"cpu": 4}), 4
    found = series(await server.ask("/metrics", *([accept] if accept else [])))
    waits = {
        (labels["name"], labels["resource"], labels["cause"]): value
        for labels, value in found["cgstatd_pressure_waits_total"]
    }
    assert waits == {("a", "cpu", "own_limit"): 3, ("a", "io", "neighbours"): 1}
    assert found["cgstatd_pressure_waits_total"][0][0]["id"].endswith(f"docker-{container_id('a')}.scope")
    assert found["cgstatd_pressure_fires_total"] == [({"resource": "cpu"}, 4)]
    assert found["cgstatd_pressure_looks_total"] == [({}, 4)]
    assert found["cgstatd_pressure_watched"] == [({"resource": each}, 0) for each in ("cpu", "memory", "io")]
