"""The health of a container in the answers: one look a second at a file, and no figure waits for it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from cgroupfs import Clock
from cgstatd.host.runtimes.base import Health, HealthCheck
from cgstatd.host.runtimes.docker_health import IN_MEMORY
from cgstatd.host.runtimes.health_log import NOT_WRITTEN
from cgstatd.sampling.container import Container
from cgstatd.sampling.health_checks import EVERY_NS, health_of
from cgstatd.sampling.log_sizes import HANGS
from fakehost import ENGINE_FILES, FakeHost
from helpers import write_files
from wire import serving

LONG = 10**18
"""Nanoseconds between two probes: what the file says stays the latest."""


def probed(host: FakeHost, name: str, status: str, interval: int = LONG) -> None:
    """What Docker's file says of a container's health check."""
    health = {"Status": status, "FailingStreak": 2, "Log": [{"Output": "s3cr3t"}]}
    host.config(name, State={"Health": health}, Config={"Healthcheck": {"Interval": interval, "Test": ["s3cr3t"]}})


async def test_it_is_in_every_answer_and_nothing_of_the_probe_is(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_files(str(host.path), ENGINE_FILES)
    for name in ("good", "bad", "old", "none"):
        host.add(name)
    probed(host, "good", "healthy")
    probed(host, "bad", "starting")
    probed(host, "old", "healthy", interval=1)
    async with serving(host.sampler()) as server:
        listed = {each["name"]: each["health"] for each in (await server.ask("/api/containers")).json}
        assert listed["good"] == {"status": "healthy", "absent": None, "failingStreak": 2, "checked": None}
        assert listed["old"] == {"status": None, "absent": IN_MEMORY, "failingStreak": None, "checked": None}
        assert listed["none"] is None
        detail = (await server.ask("/api/containers/good/detail")).json
        assert detail["container"]["health"] == listed["good"]
        engine = {each["Names"][0]: each["Status"] for each in (await server.ask("/containers/json")).json}
        assert engine["/good"].endswith(" (healthy)") and engine["/bad"].endswith(" (health: starting)")
        assert re.search(r" \(healthy \d+ (seconds|minutes|hours|days|weeks|months|years) ago\)$", engine["/old"])
        assert "(" not in engine["/none"]
        state = (await server.ask("/containers/good/json")).json["State"]
        assert state["Health"] == {"Status": "healthy", "FailingStreak": 2, "Log": []}
        assert "Health" not in (await server.ask("/containers/none/json")).json["State"]
        said = (await server.ask("/containers/old/json")).json["State"]["Health"]
        assert said["Status"] == "healthy" and IN_MEMORY in said["Log"][0]["Output"]
        assert said["Log"][0]["End"].startswith("2026-11-25T10:56:40")
        for wanted, names in (("healthy", ["/good"]), ("none", ["/none"]), ("unhealthy", [])):
            filters = f'{{"health":["{wanted}"],"name":["good","none"]}}'
            found = (await server.ask(f"/containers/json?filters={filters}")).json
            assert [each["Names"][0] for each in found] == names
            if wanted != "none":  # of the others it is known that they have a health check
                answer = await server.ask(f'/containers/json?filters={{"health":["{wanted}"]}}')
                assert answer.status == 501 and answer.json["message"] == (
                    f"the filter 'health' cannot be answered: that of old is not known ({IN_MEMORY})"
                )
        found = (await server.ask('/containers/json?filters={"health":["none"]}')).json
        assert [each["Names"][0] for each in found] == ["/none"]
        metrics = (await server.ask("/metrics")).body.decode()
        assert 'container_health_status{name="good",workload="docker:good",status="healthy"} 1' in metrics
        assert 'status="starting"' in metrics and metrics.count("container_health_status{") == 2
        assert "s3cr3t" not in repr(listed) + repr(detail) + repr(state) + metrics


async def test_of_one_that_has_ended_its_file_is_the_last_word(tmp_path: Path) -> None:
    """No probe comes after its end."""
    host = FakeHost(tmp_path)
    write_files(str(host.path), ENGINE_FILES)
    host.on_disk("ended")
    probed(host, "ended", "unhealthy", interval=1)
    async with serving(host.sampler()) as server:
        found = (await server.ask('/containers/json?all=1&filters={"health":["unhealthy"]}')).json
        assert [each["Names"][0] for each in found] == ["/ended"]
        state = (await server.ask("/containers/ended/json")).json["State"]
        assert state["Health"] == {"Status": "unhealthy", "FailingStreak": 2, "Log": []}


class Files:
    """Names whose file a test writes."""

    def __init__(self) -> None:
        self.found: Health | None = None
        self.looks = 0

    def health(self, _metadata: object, _log: str) -> Health | None:
        self.looks += 1
        return self.found


def test_a_file_is_looked_at_once_a_second_and_a_look_that_hangs_costs_its_news(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.add("a")
    probed(host, "a", "healthy")
    sampler = host.sampler()
    container: Container
    (container,) = sampler.containers()
    metadata = container.identity.metadata
    assert metadata is not None
    check = HealthCheck(Health(None, NOT_WRITTEN), log="/run/a")
    container.identity = container.identity._replace(metadata=replace(metadata, health=check))
    files = Files()

    def at(now_ns: int) -> Health | None:
        return health_of(cast(Any, files), container, Clock(now_ns, 0))

    with container.naming:
        assert at(0) == Health(None, HANGS)
    assert at(0) == Health(None, NOT_WRITTEN)
    files.found = Health("healthy")
    assert at(EVERY_NS - 1) == Health(None, NOT_WRITTEN) and at(EVERY_NS) == Health("healthy")
    with container.naming:
        assert at(3 * EVERY_NS) == Health("healthy")
    assert files.looks == 2
    sampler.close()
