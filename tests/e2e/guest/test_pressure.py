"""What a container waits for, and why, on a real kernel: each cause made on purpose, and a calm minute."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from agent import Agent
from docker import Docker
from engine import BURN, run, wait_until
from figures import CGROUPS

# Past the page cache: else an emulated processor has more to do with copying than the disk has with writing.
SMALL = "while :; do dd if=/dev/zero of=/data/small bs=4k count=4096 oflag=direct; done 2>/dev/null"
DUMP = "while :; do dd if=/dev/zero of=/data/large bs=1M count=64 oflag=direct; done 2>/dev/null"
HOG = "sleep 5; exec tail /dev/zero"
HIGH = 16 << 20
WAIT_SECONDS = 300
CALM_SECONDS = 60
LEAST_USEC = 150_000
"""Of a wait that a trigger fires for."""
SETTLE_SECONDS = 15
TRIES = 5
SLICE = "e2epressure.slice"
ONE_CPU = ("--cpuset-cpus", "0")

pytestmark = [pytest.mark.modes("v2"), pytest.mark.long]


class Waits(threading.Thread):
    """A client of `follow`; keeps the events `pressure`."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=WAIT_SECONDS)
        self._connection.request("GET", "/api/containers/stats/follow?interval=60")
        self._answer = self._connection.getresponse()
        self.found: list[dict[str, Any]] = []
        self.start()

    def run(self) -> None:
        name = ""
        with suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            for line in self._answer:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name == "pressure":
                    self.found += json.loads(line[6:])["waits"]

    def until(self, name: str, resource: str, causes: tuple[str, ...]) -> dict[str, Any]:
        """The first verdict on a container with one of those causes: before the load is steady there may be others."""

        def fitting() -> list[dict[str, Any]]:
            return [w for w in self.found if (w["name"], w["resource"]) == (name, resource) and w["cause"] in causes]

        deadline = time.monotonic() + WAIT_SECONDS
        while not fitting():
            assert time.monotonic() < deadline, [each["text"] for each in self.found]
            time.sleep(0.5)
        return fitting()[-1]


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    made = Docker("systemd")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def waits(agent: Agent, docker: Docker) -> Iterator[Waits]:
    """No container of another test is left, and the agent's pause is the shortest."""
    remove_all()
    agent.restart()
    assert watched(agent)["watched"] == ["cpu", "memory", "io"], watched(agent)  # as the unit runs it: unprivileged
    yield Waits(agent)
    remove_all()


def remove_all() -> None:
    ids = run("docker", "ps", "-aq").split()
    if ids:
        run("docker", "rm", "-f", *ids)


def watched(agent: Agent) -> dict[str, Any]:
    status, found = agent.get("/api/host")
    assert status == 200
    pressure: dict[str, Any] = found["agent"]["pressure"]
    return pressure


def test_a_quota_is_the_containers_own_limit(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("quota", "--cpus", "0.2", command=BURN)
    said = waits.until("quota", "cpu", ("own_limit",))
    record["notes"]["waits: quota"] = said["text"]
    assert (said["limit"], said["limitValue"]) == ("cpu.max", 0.2) and said["throttledPercent"] > 50


def test_the_quota_of_the_slice_is_named(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("below", "--cgroup-parent", SLICE, command=BURN)
    run("systemctl", "set-property", "--runtime", SLICE, "CPUQuota=20%")
    said = waits.until("below", "cpu", ("ancestor_limit",))
    record["notes"]["waits: quota above"] = said["text"]
    assert (said["limit"], said["cgroup"]) == ("cpu.max", f"/{SLICE}")


def test_memory_high_is_the_containers_own_limit(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    container = docker.create("high", command=HOG)
    scope = CGROUPS / "system.slice" / f"docker-{container}.scope"
    (scope / "memory.high").write_text(str(HIGH))
    said = waits.until("high", "memory", ("own_limit",))
    record["notes"]["waits: memory.high"] = said["text"]
    assert (said["limit"], said["limitValue"]) == ("memory.high", HIGH)


def test_a_neighbour_that_takes_the_processor_is_named(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("victim", *ONE_CPU, command=BURN)
    docker.create("burner", *ONE_CPU, "--cpu-shares", "4096", command=BURN)
    said = waits.until("victim", "cpu", ("neighbours",))
    record["notes"]["waits: a neighbour's CPU"] = said["text"]
    assert "burner" in [each["name"] for each in said["neighbours"]]


def test_a_neighbour_that_writes_is_named_with_the_disk(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("dump", command=DUMP)
    docker.create("small", command=SMALL)
    said = waits.until("small", "io", ("neighbours",))
    record["notes"]["waits: a neighbour's I/O"] = said["text"]
    assert said["device"].startswith("vd") and "dump" in [each["name"] for each in said["neighbours"]]


def stalls() -> dict[str, int]:
    """Microseconds in which some task of the host waited, by the kernel itself."""
    totals = {}
    for each in Path("/proc/pressure").iterdir():
        found = re.search(r"^some .* total=(\d+)$", each.read_text(), re.MULTILINE)
        totals[each.name] = int(found[1]) if found else 0
    return totals


def switches(unit: str) -> int:
    """Voluntary context switches of all threads of a unit's process."""
    pid = run("systemctl", "show", "--property=MainPID", "--value", unit)
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        found += int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", status.read_text(), re.MULTILINE)[0])
    return found


def test_a_calm_minute_has_no_wake_up_and_no_verdict(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("calm")
    on = Agent("cgstatd-on", 9715, "--history 0 --baseline 0")
    off = Agent("cgstatd-off", 9716, "--history 0 --baseline 0 --no-pressure")
    for agent in (on, off):
        wait_until(lambda agent=agent: not watched(agent)["absent"] or agent is off)
    for _ in range(TRIES):  # a minute in which the host itself was calm
        looks, _ = [watched(each)["looks"] for each in (on, off)]
        time.sleep(SETTLE_SECONDS)  # what the two were asked is over
        before, counts = stalls(), [switches(each.unit) for each in (on, off)]
        time.sleep(CALM_SECONDS)
        after = [switches(each.unit) for each in (on, off)]
        grown = {name: total - before[name] for name, total in stalls().items()}
        woken = [now - then for now, then in zip(after, counts, strict=True)]
        looked = watched(on)["looks"] - looks
        text = f"{woken[0]} voluntary switches with the watch, {woken[1]} without; {looked} looks; stalled us: {grown}"
        record["notes"]["waits: a calm minute"] = text
        if looked == 0:
            break
        assert max(grown.values()) >= LEAST_USEC, f"it looked though no program of the host waited: {text}"
    else:
        pytest.skip(f"the host was never calm for {CALM_SECONDS} s: {text}")
    for agent in (on, off):
        agent.stop()
    assert woken[0] <= 2 * woken[1] + 20, text
    assert not [each for each in waits.found if each["name"] == "calm"]
