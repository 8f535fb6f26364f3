"""The health of a container in the answers: one look a second at a file, and no figure waits for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cgroupfs import Clock
from cgstatd.host.runtimes.base import Health, HealthCheck
from cgstatd.host.runtimes.docker_health import IN_MEMORY
from cgstatd.host.runtimes.health_log import NOT_WRITTEN
from cgstatd.sampling.container import Container
from cgstatd.sampling.health_checks import EVERY_NS, health_of
from cgstatd.sampling.log_sizes import HANGS
from fakehost import ENGINE_FILES, FakeHost, container_id
from helpers import write_files
from wire import serving

LONG = 10**18
"""Nanoseconds between two probes: what the file says stays the latest."""


def probed(host: FakeHost, name: str, status: str, interval: int = LONG) -> None:
    """What Docker's file says of a container's health check."""
    file = host.path / "var/lib/docker/containers" / container_id(name) / "config.v2.json"
    found: dict[str, Any] = json.loads(file.read_text())
    found["State"]["Health"] = {"Status": status, "FailingStreak": 2, "Log": [{"Output": "s3cr3t"}]}
    found["Config"]["Healthcheck"] = {"Interval": interval, "Test": ["s3cr3t"]}
    file.write_text(json.dumps(found))


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
        assert "(" not in engine["/old"] and "(" not in engine["/none"]
        state = (await server.ask("/containers/good/json")).json["State"]
        assert state["Health"] == {"Status": "healthy", "FailingStreak": 2, "Log": []}
        for name in ("old", "none"):
            assert "Health" not in (await server.ask(f"/containers/{name}/json")).json["State"]
        for wanted, names in (("healthy", ["/good"]), ("none", ["/none"]), ("unhealthy", [])):
            filters = f"%7B%22health%22:%5B%22{wanted}%22%5D%7D"
            found = (await server.ask(f"/containers/json?filters={filters}")).json
            assert [each["Names"][0] for each in found] == names
        metrics = (await server.ask("/metrics")).body.decode()
        assert 'container_health_status{name="good",workload="docker:good",status="healthy"} 1' in metrics
        assert 'status="starting"' in metrics and metrics.count("container_health_status{") == 2
        assert "s3cr3t" not in repr(listed) + repr(detail) + repr(state) + metrics


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
        return health_of(files, container, Clock(now_ns, 0))  # type: ignore[arg-type]

    with container.naming:
        assert at(0) == Health(None, HANGS)
    assert at(0) == Health(None, NOT_WRITTEN)
    files.found = Health("healthy")
    assert at(EVERY_NS - 1) == Health(None, NOT_WRITTEN) and at(EVERY_NS) == Health("healthy")
    with container.naming:
        assert at(3 * EVERY_NS) == Health("healthy")
    assert files.looks == 2
    sampler.close()
