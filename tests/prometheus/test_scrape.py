"""A real Prometheus that scrapes two agents, found through a file: every dashboard's every query returns data."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helpers import LEGACY, PROJECT, UNIFIED
from recordedhosts import recorded_host
from wire import agent

FILES = Path(PROJECT, "agent/cgstatd/data/prometheus")
PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus: apt install prometheus")

DASHBOARD_193 = (
    'count(container_last_seen{image!=""})',
    'sum(container_memory_usage_bytes{image!=""})/1024/1024',
    'sum(rate(container_cpu_user_seconds_total{image!=""}[5m]) * 100)',
    'rate(container_cpu_user_seconds_total{image!=""}[5m]) * 100',
    'container_memory_usage_bytes{image!=""}',
    'irate(container_network_receive_bytes_total{image!=""}[5m])',
    'irate(container_network_transmit_bytes_total{image!=""}[5m])',
)
"""grafana.com/dashboards/193, Docker monitoring: the queries of its panels."""
_CHOSEN = '{instance=~"$host",name=~"$container",name=~".+"}'
DASHBOARD_14282 = (
    f"sum(rate(container_cpu_usage_seconds_total{_CHOSEN}[5m])) by (name) *100",
    f"sum(container_memory_rss{_CHOSEN}) by (name)",
    f"sum(container_memory_cache{_CHOSEN}) by (name)",
    f"sum(rate(container_network_receive_bytes_total{_CHOSEN}[5m])) by (name)",
    f"sum(rate(container_network_transmit_bytes_total{_CHOSEN}[5m])) by (name)",
    f"(time() - container_start_time_seconds{_CHOSEN})/86400",
)
"""grafana.com/dashboards/14282, cAdvisor exporter."""


class Prometheus(NamedTuple):
    """Where it listens."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        """``data`` of an API answer."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Any]:
        """The result of an instant query, variables replaced as Grafana does for "All"."""
        for name, value in (("$__rate_interval", "1m"), ("$__range", "5m"), ("$top", "10")):
            expression = expression.replace(name, value)
        expression = re.sub(r"\$(env|instance|project|name|host|container)\b", ".*", expression)
        assert "$" not in expression
        found: list[Any] = self.get("query", query=expression)["result"]
        return found

    def data(self, expression: str) -> list[Any]:
        """The same once there is any: an answer that came too late for a busy machine's scrape leaves none until the
        next."""
        while not (found := self.query(expression)):
            time.sleep(0.2)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Two agents of two environments, cgroup v2 and v1, and a Prometheus that has seen each some times."""
    folder = tmp_path_factory.mktemp("prometheus")
    for name in ("cgstatd.rules.yml", "cgstatd.alerts.yml"):
        shutil.copy(FILES / name, folder)
    configuration = (FILES / "prometheus.yml").read_text().replace("15s", "1s")
    (folder / "prometheus.yml").write_text(configuration)
    with contextlib.ExitStack() as stack:
        targets = []
        for env, host in ((1, UNIFIED), (2, LEGACY)):
            arguments = ("--listen", "127.0.0.1:0", "--env-id", str(env), "--host-root", recorded_host(host))
            running = stack.enter_context(agent(*arguments))
            targets.append({"targets": [f"127.0.0.1:{running.port}"], "labels": {"env": str(env)}})
        (folder / "targets.yml").write_text(json.dumps(targets))  # JSON is YAML
        port = free_port()
        process = subprocess.Popen(
            [
                str(PROMETHEUS),
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ],
            cwd=folder,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        found = Prometheus(f"http://127.0.0.1:{port}")
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if len(found.query("count_over_time(container:memory_limit:ratio[1m]) > 4")) > 3:
                    break
            assert process.poll() is None
            time.sleep(0.5)
        yield found


def test_both_agents_are_up_each_in_its_environment(prometheus: Prometheus) -> None:
    targets = prometheus.get("targets")["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")] * 2
    assert {target["labels"]["env"] for target in targets} == {"1", "2"}
    counts = {each["metric"]["env"]: int(each["value"][1]) for each in prometheus.query("cgstatd_containers")}
    assert set(counts) == {"1", "2"} and min(counts.values()) > 15


def dashboard() -> Any:
    return json.loads((FILES / "grafana-dashboard.json").read_text("utf-8"))


def panels() -> list[tuple[str, str]]:
    """(title, query)"""
    return [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", [])]


@pytest.mark.parametrize(("title", "expression"), panels(), ids=[title for title, _ in panels()])
def test_every_panel_of_our_dashboard_has_data(prometheus: Prometheus, title: str, expression: str) -> None:
    result = prometheus.data(expression)
    print(f"{title}: {len(result)} series")
    assert all(each["value"][1] != "NaN" for each in result), expression


@pytest.mark.parametrize("expression", [*DASHBOARD_193, *DASHBOARD_14282])
def test_dashboards_made_for_cadvisor_have_data(prometheus: Prometheus, expression: str) -> None:
    result = prometheus.data(expression)
    print(f"{len(result)} series: {expression}")
    assert all(each["value"][1] != "NaN" for each in result)


def test_the_variables_of_the_dashboards_have_values(prometheus: Prometheus) -> None:
    queries = [each["definition"] for each in dashboard()["templating"]["list"] if each["type"] == "query"]
    queries += [
        'label_values({__name__=~"container.*"},instance)',
        'label_values({__name__=~"container.*", instance=~"$host"},name)',
    ]
    for query in queries:
        match = re.fullmatch(r"label_values\((.*), ?(\w+)\)", query)
        assert match, query
        selector = re.sub(r"\$\w+", ".*", match[1])
        found = prometheus.get(f"label/{match[2]}/values", **{"match[]": selector})
        assert len(found) >= (1 if match[2].endswith("_project") else 2), query


def test_a_panel_does_not_count_anything_twice(prometheus: Prometheus) -> None:
    """One series for each container: no sum, no join and no label doubles it."""
    for expression in (
        "container_last_seen",
        "container:cpu_usage_seconds:rate5m",
        "container_memory_working_set_bytes",
    ):
        keys = [(each["metric"]["instance"], each["metric"]["id"]) for each in prometheus.query(expression)]
        assert len(keys) == len(set(keys)) > 30, expression


def test_the_rules_run_without_errors(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 16 and {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"] in (
        [], ["ContainerOomKilled"],
    )  # fmt: skip


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    found = dashboard()
    ids = [panel["id"] for panel in found["panels"]]
    assert len(ids) == len(set(ids)) and found["uid"] and found["schemaVersion"] >= 36
    taken: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        mine = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not mine & taken, panel["title"]
        taken |= mine
        if panel["type"] == "row":
            continue
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_a_panel_has_a_bounded_number_of_lines_and_needs_no_recording_rule() -> None:
    """A thousand hosts have a hundred thousand series of a kind."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            assert not re.search(r"\b\w+:\w+:\w+", expression), expression
            if panel["type"] in ("timeseries", "table"):
                assert re.match(r"(topk|bottomk)\(\$top, ", expression), expression


def test_the_annotations_find_what_happened(prometheus: Prometheus) -> None:
    """Nothing happens on a recorded host: the counters are there, and the whole query is one that Prometheus takes."""
    found = dashboard()["annotations"]["list"]
    assert [each["name"] for each in found] == ["OOM kill", "Restart"]
    for each in found:
        assert prometheus.query(each["expr"]) == []
        counter = re.search(r"(container_\w+_total)", each["expr"])
        assert counter and prometheus.query(counter[1]), each["expr"]
        assert prometheus.query(each["expr"].replace("> 0", ">= 0")), each["expr"]
