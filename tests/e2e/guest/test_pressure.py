"""What a container waits for, and why, on a real kernel: each cause made on purpose, and a calm minute.

cgroup v1 does not say how long a container waited: there, limits are told, and of the other shapes nothing is. Its
kernel (6.1) gives triggers to CAP_SYS_RESOURCE alone, so that the agent gets it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from agent import UNIT, Agent
from docker import Docker
from engine import BURN, MODE, run, wait_until
from figures import CGROUPS

# Past the page cache: else an emulated processor has more to do with copying than the disk has with writing.
SMALL = "while :; do dd if=/dev/zero of=/data/small bs=4k count=4096 oflag=direct; done 2>/dev/null"
DUMP = "while :; do dd if=/dev/zero of=/data/large bs=1M count=64 oflag=direct; done 2>/dev/null"
HOG = "sleep 5; exec tail /dev/zero"
FILE = "dd if=/dev/zero of=/data/file bs=1M count={} conv=fsync 2>/dev/null;"
AGAIN = "while :; do cat /data/file >/dev/null; done"
DIRECT = "while :; do dd if=/data/file of=/dev/null bs=1M iflag=direct; done 2>/dev/null"
FLUSHED = "while :; do dd if=/dev/zero of=/data/file bs=1M count=20 conv=fsync; done 2>/dev/null"
LOG = "while :; do dd if=/dev/zero of=/data/log bs=64k count=4 oflag=direct; sleep 0.2; done 2>/dev/null"
DISK = "/dev/vda"
SPARE = 120 << 20
"""Of the host's memory, where it is made short of it."""
HIGH = 16 << 20
WAIT_SECONDS = 300
CALM_SECONDS = 60
LEAST_USEC = 150_000
"""Of a wait that a trigger fires for."""
SETTLE_SECONDS = 15
TRIES = 5
SLICE = "e2epressure.slice"
ONE_CPU = ("--cpuset-cpus", "0")

pytestmark = pytest.mark.long
V2 = pytest.mark.modes("v2")
SAYS = pytest.mark.modes("v2", "hybrid")
"""Hosts that say how long a container waited."""
SILENT = pytest.mark.modes("v1")


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

    def until(self, name: str, resource: str, causes: tuple[str, ...], named: str = "") -> dict[str, Any]:
        """The first verdict on a container with one of those causes, and with a neighbour: before the load is steady
        there may be others."""
        return self.first(name, (resource,), causes, named)

    def first(self, name: str, resources: tuple[str, ...], causes: tuple[str, ...], named: str = "") -> dict[str, Any]:
        """The same, of one of several resources."""

        def fitting() -> list[dict[str, Any]]:
            mine = [each for each in self.found if each["name"] == name and each["resource"] in resources]
            neighbours = [each for each in mine if not named or named in [one["name"] for one in each["neighbours"]]]
            return [each for each in neighbours if each["cause"] in causes]

        deadline = time.monotonic() + WAIT_SECONDS
        while not fitting():
            assert time.monotonic() < deadline, [each["text"] for each in self.found]
            time.sleep(0.5)
        return fitting()[-1]

    def of(self, name: str) -> list[str]:
        """The causes that were told of a container, with the resource."""
        return sorted({f"{each['resource']} {each['cause']}" for each in self.found if each["name"] == name})


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    made = Docker("systemd")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def watcher(agent: Agent) -> Iterator[Agent]:
    """As the unit runs it, unprivileged; a kernel before 6.4 gives triggers to a capability."""
    if MODE == "v2":
        yield agent
        return
    drop_in = UNIT.with_name("cgstatd-waits.service.d") / "triggers.conf"
    drop_in.parent.mkdir(exist_ok=True)
    both = "CAP_DAC_READ_SEARCH CAP_SYS_RESOURCE"
    drop_in.write_text(f"[Service]\nAmbientCapabilities={both}\nCapabilityBoundingSet={both}\n")
    made = Agent("cgstatd-waits", 9717, "--max-cpu 0")
    yield made
    made.stop()


@pytest.fixture
def waits(watcher: Agent, docker: Docker) -> Iterator[Waits]:
    """No container of another test is left, and the agent's pause is the shortest."""
    remove_all()
    watcher.restart()
    assert watched(watcher)["watched"] == ["cpu", "memory", "io"], watched(watcher)
    yield Waits(watcher)
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


@V2
def test_the_quota_of_the_slice_is_named(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("below", "--cgroup-parent", SLICE, command=BURN)
    run("systemctl", "set-property", "--runtime", SLICE, "CPUQuota=20%")
    said = waits.until("below", "cpu", ("ancestor_limit",))
    record["notes"]["waits: quota above"] = said["text"]
    assert (said["limit"], said["cgroup"]) == ("cpu.max", f"/{SLICE}")


@V2
def test_memory_high_is_the_containers_own_limit(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    container = docker.create("high", command=HOG)
    scope = CGROUPS / "system.slice" / f"docker-{container}.scope"
    (scope / "memory.high").write_text(str(HIGH))
    said = waits.until("high", "memory", ("own_limit",))
    record["notes"]["waits: memory.high"] = said["text"]
    assert (said["limit"], said["limitValue"]) == ("memory.high", HIGH)


@pytest.mark.parametrize("limits", [("-m", "24m"), ("-m", "24m", "--memory-swap", "24m")], ids=["memory", "and swap"])
def test_a_memory_limit_that_is_thrashed_is_named_while_the_host_has_memory(
    waits: Waits, docker: Docker, record: dict[str, Any], limits: tuple[str, ...]
) -> None:
    """On v1 memory.failcnt stands still if the limit of memory and swap is the same."""
    docker.create("thrash", *limits, command=FILE.format(60) + AGAIN)
    said = waits.first("thrash", ("io", "memory"), ("own_limit",))
    record["notes"][f"waits: {' '.join(limits)}"] = f"{said['text']}; {waits.of('thrash')}"
    assert (said["limit"], said["limitValue"]) == ("memory.max", 24 << 20)
    assert not {"memory neighbours", "memory itself", "io neighbours"} & set(waits.of("thrash"))


@contextmanager
def limited_device(container: str, way: str, rate: int) -> Iterator[None]:
    """``--device-read-bps`` and ``--device-write-bps``, which the client of Docker 26.1 drops (docker/cli#5321).

    The limit is lifted in the end: who waits for the rest of a large write cannot be killed.
    """
    scope, number = f"system.slice/docker-{container}.scope", os.stat(DISK).st_rdev
    device = f"{os.major(number)}:{os.minor(number)}"
    if MODE == "v2":
        limits, line, none = CGROUPS / scope / "io.max", f"{device} {way[0]}bps=", "max"
    else:
        limits, line, none = CGROUPS / "blkio" / scope / f"blkio.throttle.{way}_bps_device", f"{device} ", "0"
    if not limits.exists():
        pytest.skip("this kernel has no limits of devices (CONFIG_BLK_DEV_THROTTLING)")
    limits.write_text(f"{line}{rate}")
    assert str(rate) in limits.read_text()
    try:
        yield
    finally:
        limits.write_text(f"{line}{none}")


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_rate_of_a_device_is_named_and_no_neighbour(
    waits: Waits, docker: Docker, record: dict[str, Any], way: str
) -> None:
    docker.create("log", command=LOG)
    rate, command = (1 << 20, FILE.format(20) + DIRECT) if way == "read" else (512 << 10, FLUSHED)
    if MODE == "v1" and way == "write":
        command = SMALL  # v1 counts a flush of 20 MiB in the instant in which it begins: most looks see nothing of it
    container = docker.create("slow", command=command)
    with limited_device(container, way, rate):
        said = waits.until("slow", "io", ("own_limit",))
    record["notes"][f"waits: --device-{way}-bps"] = f"{said['text']}; {waits.of('slow')}"
    assert said["limit"] == f"io.max {way[0]}bps" and said["device"] == "vda"
    assert "io neighbours" not in waits.of("slow")


@SAYS
def test_a_host_that_is_short_of_memory_says_who_has_it(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    """One holds most of the memory; the other reads a file that would fit if that were not so.

    The kernel counts a wait for memory where pages are read back that were in use when they were dropped. Those of a
    file that is three times as large as what is left are not: Linux 6.12 says that the reader waits for the disk
    (io.pressure 22 %, memory.pressure 0), and that all it reads was dropped before (workingset_refault_file).
    """
    available = int(re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[0]) << 10
    much = available - SPARE
    fill = f"dd if=/dev/zero of=/dev/shm/heap bs=1M count={much >> 20}; echo filled; exec sleep 1000000"
    docker.create("heap", "--shm-size", str(2 * much), command=fill)
    wait_until(lambda: "filled" in run("docker", "logs", "heap"), WAIT_SECONDS)
    readers = f"for n in 1 2 3; do ( {AGAIN} ) & done; wait"
    docker.create("reader", command=FILE.format(3 * SPARE >> 20) + readers)
    said = waits.first("reader", ("memory", "io"), ("neighbours",), named="heap")
    record["notes"]["waits: a host that is short of memory"] = f"{said['text']}; {waits.of('reader')}"
    assert said["neighbours"][0]["name"] == "heap", said


@SAYS
def test_a_disk_that_is_busy_with_its_own_writing(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("own", command=SMALL)
    said = waits.until("own", "io", ("itself", "unknown", "neighbours"))
    record["notes"]["waits: its own I/O"] = f"{said['text']}; {waits.of('own')}"
    assert said["cause"] == ("itself" if MODE == "v2" else "unknown"), said  # 6.1 does not count it on v1


@SILENT
@pytest.mark.parametrize("shape", ["processor", "disk"])
def test_v1_does_not_say_who_waits_for_others(
    waits: Waits, watcher: Agent, docker: Docker, record: dict[str, Any], shape: str
) -> None:
    if shape == "processor":
        docker.create("victim", *ONE_CPU, command=BURN)
        docker.create("burner", *ONE_CPU, "--cpu-shares", "4096", command=BURN)
    else:
        docker.create("burner", command=DUMP)
        docker.create("victim", command=SMALL)
    looks = watched(watcher)["looks"]
    wait_until(lambda: watched(watcher)["looks"] >= looks + 2, WAIT_SECONDS)
    told = {name: waits.of(name) for name in ("victim", "burner")}
    record["notes"][f"waits: a neighbour's {shape}"] = str(told)
    assert told == {"victim": [], "burner": []}


@SAYS
def test_a_neighbour_that_takes_the_processor_is_named(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("victim", *ONE_CPU, command=BURN)
    docker.create("burner", *ONE_CPU, "--cpu-shares", "4096", command=BURN)
    said = waits.until("victim", "cpu", ("neighbours",), named="burner")
    record["notes"]["waits: a neighbour's CPU"] = said["text"]


@V2
def test_a_neighbour_that_writes_is_named_with_the_disk(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("dump", command=DUMP)
    docker.create("small", command=SMALL)
    said = waits.until("small", "io", ("neighbours",), named="dump")
    record["notes"]["waits: a neighbour's I/O"] = said["text"]
    assert said["device"].startswith("vd")


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


@V2
def test_a_calm_minute_has_no_wake_up_and_no_verdict(waits: Waits, docker: Docker, record: dict[str, Any]) -> None:
    docker.create("calm")
    on = Agent("cgstatd-on", 9715, "--history 0 --baseline 0")
    off = Agent("cgstatd-off", 9716, "--history 0 --baseline 0 --no-pressure")

    def ready(agent: Agent) -> bool:
        return not watched(agent)["absent"] or agent is off

    for agent in (on, off):
        wait_until(partial(ready, agent))
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
