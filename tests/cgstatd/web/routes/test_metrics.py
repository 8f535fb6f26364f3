"""GET /metrics."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import urllib.request
from collections import Counter
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from cgstatd.config.settings import DEFAULT_LABELS
from cgstatd.outputs.container_labels import MAX_LABELS, label_names
from cgstatd.sampling.round import Changes, Ended
from fakehost import MEM_TOTAL, FakeHost, container_id, net_dev, share_network
from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import Answer, Server, agent

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
    """Every family, of recorded hosts: tests/golden."""
    answer = await server.ask("/metrics")
    found = series(answer)
    labels, value = next(s for s in found["container_cpu_usage_seconds_total"] if s[0]["name"] == "a")
    path = f"/system.slice/docker-{container_id('a')}.scope"
    assert labels == {"id": path, "name": "a", "image": "lab/busybox:1", "cpu": "total"}
    assert value == 1.0
    assert of(found, "container_memory_usage_bytes", "a") == [3 << 20]
    assert of(found, "container_memory_working_set_bytes", "a") == [2 << 20]
    assert of(found, "container_memory_rss", "a") == of(found, "container_processes", "a") == [1]
    assert of(found, "container_network_receive_bytes_total", "a") == [1000]
    assert of(found, "container_fs_reads_bytes_total", "a") == [4096]
    assert found["machine_memory_bytes"] == [({}, MEM_TOTAL)]
    assert found["cgstatd_containers"] == [({}, 4)]  # the paused one too, the stopped one not
    assert found["cgstatd_passes_total"] == [({}, 0)]  # a scrape needs none
    assert "cgstatd_build_info" in found
    for name in ("container_spec_memory_limit_bytes", "container_spec_cpu_quota", "container_memory_swap",
                 "container_memory_failcnt", "container_oom_events_total",
                 "container_pressure_cpu_waiting_seconds_total"):  # fmt: skip
        assert name not in found, "what is not known is no series, and never 0"
    other = series(await server.ask("/metrics", OPENMETRICS))
    assert set(other) == set(found)
    assert other["container_cpu_usage_seconds_total"] == found["container_cpu_usage_seconds_total"]


async def test_no_accept_header_is_a_failure_or_comes_back(server: Server) -> None:
    """Which one is preferred: tests/cgstatd/outputs/test_negotiation.py."""
    plain = "text/plain; version=0.0.4; charset=utf-8"
    openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    for accept, content_type in (
        ('application/openmetrics-text;version="1.0.0"', openmetrics),
        ("application/openmetrics-text;version=2.7.1-smuggled", plain),
        ("application/openmetrics-text;version=1.0.0;escaping=<x>", openmetrics),
        ('application/openmetrics-text;version="', plain), (";,=" * 2000, plain),
    ):  # fmt: skip
        answer = await server.ask("/metrics", f"Accept: {accept}")
        assert (answer.status, answer.headers["content-type"]) == (200, content_type), accept
        assert answer.body.endswith(b"# EOF\n") is (content_type == openmetrics)


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


def test_the_hosts_figures_and_which_labels_are_metric_labels_are_configured() -> None:
    options = ("--host-root", recorded_host(UNIFIED), "--no-host-metrics", "--metric-labels", "app")
    with (
        agent("--listen", "127.0.0.1:0", *options) as running,
        urllib.request.urlopen(f"http://127.0.0.1:{running.port}/metrics") as answer,
    ):
        text = answer.read().decode()
    assert "\nnode_" not in text and "container_last_seen" in text and "\nmachine_cpu_cores 2.0\n" in text
    assert 'container_label_app="' in text and "com_docker_compose" not in text


async def test_a_shared_network_is_counted_with_its_owner_alone(server: Server, host: FakeHost) -> None:
    share_network(host)
    path = host.path / f"var/lib/docker/containers/{container_id('a')}/hostconfig.json"
    path.write_text(json.dumps({"NetworkMode": f"container:{container_id('b')}"}))
    found = series(await server.ask("/metrics"))
    assert of(found, "container_network_receive_bytes_total", "b") == [1000]
    assert of(found, "container_network_receive_bytes_total", "a") == []


async def test_interfaces_of_one_container_are_bounded(server: Server, host: FakeHost) -> None:
    path = net_dev(host, "a")
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


async def test_one_that_is_just_ending_keeps_its_state_alone(server: Server, host: FakeHost) -> None:
    """Its processes are gone and its cgroup is there for a moment: there is nothing to read of it."""
    await server.ask("/api/containers/stats")
    (host.scope("a") / "cgroup.procs").write_text("")
    found = series(await server.ask("/metrics"))
    assert of(found, "container_last_seen", "b") and not of(found, "container_last_seen", "a")
    assert states(found)["a"] == "running"
    assert of(found, "container_oom_kills_total", "b") == [] == of(found, "container_oom_kills_total", "a")


class Parsed(Collector):
    """Families that were parsed, to be encoded again."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        return self.families


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_the_lines_are_those_of_the_librarys_own_encoder(recorded_server: Server, openmetrics: bool) -> None:
    parse, encode = (parse_openmetrics, encode_openmetrics) if openmetrics else (parse_text, generate_latest)

    def samples(text: str) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
        return {(s.name, frozenset(s.labels.items()), s.value) for family in parse(text) for s in family.samples}

    def comments(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("#")]

    ours = (await recorded_server.ask("/metrics", *([OPENMETRICS] if openmetrics else []))).body.decode()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Parsed(list(parse(ours))))
    theirs = encode(registry).decode()
    assert samples(ours) == samples(theirs)
    # HELP and TYPE are the same to the letter, and so is every name with its braces
    assert comments(ours) == comments(theirs)


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


async def test_restarts_have_the_workload_and_no_id(server: Server, host: FakeHost) -> None:
    recorded(host, "a", 3, SHOP, "shop-web-1")
    recorded(host, "b", 2, SHOP, "shop-web-1")  # made anew while the one before is still there
    recorded(host, "c", 7, {}, "c", Running=True, Restarting=True, ExitCode=3)
    for accept in ((), (OPENMETRICS,)):
        found = series(await server.ask("/metrics", *accept))
        assert {labels["workload"]: value for labels, value in found["container_restarts_total"] if value} == {
            "compose:shop/web/1": 5, "docker:c": 7
        }  # fmt: skip
        assert {frozenset(labels) for labels, _ in found["container_restarts_total"]} == {
            frozenset(("name", "workload"))
        }
        assert found["container_last_terminated_exitcode"] == [({"name": "c", "workload": "docker:c"}, 3)]
    listed = {each["id"]: each for each in (await server.ask("/api/containers")).json}
    assert {listed[container_id(name)]["workload"] for name in "ab"} == {"compose:shop/web/1"}


async def scraped(server: Server) -> Found:
    """What a scrape of its own finds."""
    server.parts.scraper.scrape.forget()
    return series(await server.ask("/metrics"))


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


async def test_kills_are_counted_by_workload_through_its_lives(server: Server, host: FakeHost) -> None:
    """Those of before the agent are not: its own start is no kill. Each once: tests/cgstatd/feed/test_lives.py."""
    (host.scope("a") / "memory.events").write_text("oom_kill 5\n")

    async def kills() -> float:
        [value] = of(await scraped(server), "container_oom_kills_total", "a")
        return value

    assert await kills() == 0
    host.set("a", "memory.events", "oom_kill 7\n")
    host.burn("a", 1_000_001)
    assert await kills() == 2
    [container] = [each for each in server.feed.sampler.containers() if each.identity.name == "a"]
    host.recreate("a")
    (host.scope("a") / "memory.events").write_text("oom_kill 1\n")
    server.parts.follower.lives.hear(
        Changes(ended=[Ended(container.identity, None, None, 137, None, None, None, False, None, None)])
    )
    assert await kills() == 3


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
    for each in server.sampler.registry._containers.values():
        each.due_ns = 1 << 62  # four seconds are soon over on a busy machine
    names.clear()
    assert len(states(await scraped(server))) == 25
    assert [name for name in names if name.endswith(".json")] == []


async def test_what_waited_is_counted_by_resource_and_cause_with_the_containers_labels(server: Server) -> None:
    watch = server.agent.pressure
    watch.waits = {
        container_id("a"): Counter({("cpu", "own_limit"): 3, ("io", "neighbours"): 1}),
        container_id("gone"): Counter({("cpu", "itself"): 9}),
    }
    watch.fires, watch.looks = Counter({"cpu": 4}), 4
    found = await scraped(server)
    waits = {
        (labels["name"], labels["resource"], labels["cause"]): value
        for labels, value in found["cgstatd_pressure_waits_total"]
    }
    assert waits == {("a", "cpu", "own_limit"): 3, ("a", "io", "neighbours"): 1}
    assert found["cgstatd_pressure_waits_total"][0][0]["id"].endswith(f"docker-{container_id('a')}.scope")
    assert found["cgstatd_pressure_fires_total"] == [({"resource": "cpu"}, 4)]
    assert found["cgstatd_pressure_looks_total"] == [({}, 4)]
    assert found["cgstatd_pressure_watched"] == [({"resource": each}, 0) for each in ("cpu", "memory", "io")]
