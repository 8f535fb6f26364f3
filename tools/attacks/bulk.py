"""Kernel files that hold too much, or come too late: what is read is bounded, and costs its own figure."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from attacks.arena import Arena, TreeArena, Work, often, require_root
from attacks.kernel import KernelArena, enter, remove
from attacks.planted import CORES, MOST
from attacks.slowfile import slow
from cgroupfs.formats import number
from fakehost import container_id
from wire import ALL, STREAM, agent

METRICS = "/metrics"
_FILES = ("cpu.stat", "memory.current", "memory.stat", "memory.max", "io.stat", "cgroup.events", "pids.current")
_HEADER = "Inter-|   Receive | Transmit\n face |bytes packets errs |bytes\n"
_LINE = "  {name}: {rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n"


def _one(a: Arena, name: str) -> dict[str, Any]:
    status, _, body = a.ask(f"/api/containers/{container_id(name)}/stats")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def _everything(a: Arena, name: str) -> Work:
    """Every route answers, and has the container; the most that was read for one of them."""
    largest = Work(0, 0)
    identity = container_id(name)
    for target in (ALL, STREAM, "/api/containers", METRICS, "/api/host", f"/api/containers/{identity}/detail"):
        (status, _, body), work = a.ask_counted(target)
        assert status == 200, (target, body[:300])
        assert identity.encode() in body or target in (METRICS, "/api/host"), target
        largest = max(largest, work.within(*MOST))
    return largest


def _net_dev(a: TreeArena, name: str) -> Path:
    pid = number((a.host.scope(name) / "cgroup.procs").read_bytes().strip())
    return a.host.path / f"proc/{pid}/net/dev"


def digits(a: TreeArena) -> str:
    """numbers of 5,000 digits: in each of a container's files in turn, in its net/dev and in /proc/meminfo"""
    before, largest = _one(a, "c1"), Work(0, 0)
    places = [_net_dev(a, "c0"), a.host.path / "proc/meminfo", *(a.host.scope("c0") / file for file in _FILES)]
    places = places[: often(len(places), 3)]
    for place in places:
        kept = place.read_bytes()
        for text in (b"9" * 5000, b"18446744073709551615"):
            place.write_bytes(b"".join(text if part.isdigit() else part for part in _words(kept)))
            time.sleep(0.6)  # past what is still fresh
            for target in (STREAM, "/api/containers", METRICS, "/api/host"):
                (status, _, body), work = a.ask_counted(target)
                assert status == 200, (place, target, body[:300])
                largest = max(largest, work.within(*MOST))
            now = _one(a, "c1")
            same = ("memoryUsage", "networkRx", "networkTx", "blockRead", "blockWrite")
            assert all(now[key] == before[key] for key in same), (place, now, before)
        place.write_bytes(kept)
    return f"{len(places)} files: their own figure is lost, all others are the same; {largest} for an answer"


def _words(data: bytes) -> list[bytes]:
    """The text cut where numbers begin and end."""
    parts: list[bytes] = []
    for byte in (data[n : n + 1] for n in range(len(data))):
        if parts and parts[-1].isdigit() == byte.isdigit():
            parts[-1] += byte
        else:
            parts.append(byte)
    return parts


def endless(a: TreeArena) -> str:
    """files without end: net/dev, memory.stat, io.stat and cgroup.procs of four containers are /dev/zero"""
    before = a.memory()
    places = [_net_dev(a, "c3"), *(a.host.scope(f"c{n}") / f for n, f in ((4, "memory.stat"), (5, "io.stat")))]
    for place in [*places, a.host.scope("c6") / "cgroup.procs"]:
        place.unlink()
        place.symlink_to("/dev/zero")
    time.sleep(0.6)
    work = _everything(a, "c3")
    assert _one(a, "c3")["memoryUsage"] > 0
    assert a.memory() - before < 48
    for place in places:
        place.unlink()
    return f"each costs its own figure; {a.memory() - before:+.0f} MiB, {work} for an answer"


def cpu_list(a: TreeArena) -> str:
    """a CPU list of 64 KiB: `0-65535,` again and again in cpuset.cpus and cpuset.cpus.effective"""
    for file in ("cpuset.cpus", "cpuset.cpus.effective"):
        (a.host.scope("c7") / file).write_bytes(b"0-65535," * 8192)
    status, _, body = a.ask(f"/api/containers/{container_id('c7')}/detail")
    assert status == 200 and b"documented format" in body, status
    return "no list of CPUs: said to be malformed in the detail"


def jump(a: TreeArena) -> str:
    """a counter that jumps: cpu.stat by 10^15 and by 1,000 s, and back, again and again"""
    most, usage = 0.0, 1_000_000
    for more in (10**15, 1_000_000_000, -(10**15), 10**12, 5) * often(2):
        usage = max(1, usage + more)
        a.host.burn("c8", usage)
        time.sleep(0.3)
        most = max(most, _one(a, "c8")["cpuPercent"])
        everyone = json.loads(a.ask(ALL)[2])
        most = max(most, *(each["cpuPercent"] for each in everyone))
    assert most <= CORES * 100, most
    return f"never more than {most:.0f} % on {CORES} cores"


def late(a: TreeArena) -> str:
    """cpu.stat takes 2 s to answer: a container that uses one core, every third reading held up"""
    require_root()
    began, calls, most = time.monotonic(), 0, 0.0

    def read() -> bytes:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            time.sleep(2)
        return b"usage_usec %d\n" % ((time.monotonic() - began) * 1_000_000)

    place, away = a.host.scope("c9"), a.host.path / "away"
    place.rename(away)  # for a moment, so that its files are opened anew
    with ExitStack() as stack:
        stack.callback(away.rename, place)
        stack.enter_context(slow(away / "cpu.stat", read))
        while container_id("c9").encode() in a.ask(ALL)[2]:
            time.sleep(0.1)
        away.rename(place)
        stack.callback(place.rename, away)
        for _ in range(8):
            status, _, body = a.ask(f"/api/containers/{container_id('c9')}/stats")
            if status == 200:
                most = max(most, json.loads(body)["cpuPercent"])
            time.sleep(0.3)
    assert calls > 3 and most <= 100.5, (calls, most)
    return f"at most {most:.0f} % (of one core) in {calls} readings"


def interfaces(a: TreeArena) -> str:
    """40,000 interfaces in one container's namespace: the others are read as often as before"""
    number_of = often(40_000)
    lines = "".join(_LINE.format(name=f"veth{n}", rx=10, tx=20) for n in range(number_of))
    _net_dev(a, "c11").write_text(_HEADER + lines)
    time.sleep(0.6)
    work = _everything(a, "c11")
    found = _one(a, "c11")
    assert (found["networkRx"], found["networkTx"]) == (10 * number_of, 20 * number_of)
    status, _, body = a.ask(f"/api/containers/{container_id('c11')}/detail")
    network = json.loads(body)["network"]
    assert status == 200 and len(body) < 100_000
    assert network["interfacesLeftOut"] + len(network["interfaces"]) == number_of
    assert network["rxBytes"]["value"] == 10 * number_of
    seen = set()
    for n in range(often(8, 2)):
        a.host.burn("c12", 1_000_000 + n)
        seen.add(json.loads(a.ask("/api/host")[2])["agent"]["passIntervalSeconds"])
        a.ask(ALL)
        time.sleep(0.6)
    assert not any(seen), seen
    _net_dev(a, "c11").write_text(_HEADER + _LINE.format(name="eth0", rx=1, tx=1))
    shown, more = len(network["interfaces"]), network["interfacesLeftOut"]
    return f"the sums are right, {shown} in the detail and `{more} more`; no pass is put off; {work} for an answer"


def _one_left(pid: int) -> int:
    """The NOFILE that leaves a process one descriptor: the lowest number that is free, and none after it."""
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    free = (fd for fd in count() if fd not in used)
    next(free)
    return next(free)


def descriptors(a: TreeArena) -> str:
    """no descriptor left: NOFILE is lowered under a running agent until it can open nothing but a connection"""
    with agent("--listen", "127.0.0.1:0", "--host-root", str(a.host.path)) as found:
        other = Arena(found.port, found.process.pid, "", "", a.folder, "")
        targets = (ALL, STREAM, "/api/containers", METRICS, "/healthz", f"/api/containers/{container_id('c1')}/stats")
        sockets = other.descriptors()

        def ask(target: str) -> tuple[int, dict[str, str], bytes]:
            """Once the connection before is closed: two at a time are one too many."""
            answer = other.ask(target, None)
            while other.descriptors() > sockets:
                time.sleep(0.01)
            return answer

        assert all(ask(target)[0] == 200 for target in targets)
        soft, hard = resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE, (_one_left(found.process.pid), hard))
        a.host.add("late")  # whose files have to be opened
        time.sleep(0.7)
        answers = {target: ask(target) for target in targets[:5]}
        resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        time.sleep(0.7)
        assert all(other.ask(target, None)[0] == 200 for target in targets)
    statuses = {target: status for target, (status, _, _) in answers.items()}
    assert b"event: error" in answers[STREAM][2] and b"Too many open files" in answers[STREAM][2], answers[STREAM]
    failed = [ALL, "/api/containers", METRICS]
    assert [statuses[target] for target in failed] == [503] * len(failed), statuses
    assert all(b"Too many open files" in answers[target][2] for target in failed)
    assert statuses["/healthz"] in (200, 503)  # 503 as long as the last reading is news, then from a listing of its own
    a.host.remove("late", from_disk=True)
    return "array, list and /metrics 503 with the reason, the stream an `error` event; all well afterwards"


def children(a: KernelArena) -> str:
    """20,000 cgroups inside one container's own, running kernel: spread over all trees"""
    places = [f"{tree}/docker-{a.attacker}.scope" for tree in a.trees]
    with ExitStack() as stack:
        for inside in places:
            stack.callback(remove, inside, (inside,))
        stack.enter_context(_inhabitant(a, f"docker-{a.attacker}.scope"))
        made = 0
        with suppress(OSError):  # a limit on cgroups
            for made in range(1, often(20_000, 301 * len(places)) + 1):
                os.mkdir(f"{places[made % len(places)]}/{made}")
        assert made > 300 * len(places)
        largest = Work(0, 0)
        for target in (METRICS, f"/api/containers/{a.attacker}/detail", ALL):
            (status, _, body), work = a.ask_counted(target)
            assert status == 200, body[:300]
            largest = max(largest, work)
        assert a.attacker.encode() in a.ask(ALL)[2]
        assert a.logged("its processes are not counted")
    largest.within(max(made // 2, 5_000), MOST.octets)
    return f"{made} made; its processes are not counted, and the log says so; {largest} for an answer"


def namespace(a: KernelArena) -> str:
    """2,000 interfaces, running kernel: veth pairs in a network namespace of the container's own"""
    with _inhabitant(a, f"docker-{a.attacker}.scope", _OWN_NETWORK) as pid:
        pairs = often(1000, 100)
        batch = "".join(f"link add a{n} type veth peer name b{n}\n" for n in range(pairs))
        command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"]
        try:
            subprocess.run(command, input=batch, text=True, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no interfaces can be made here: {error}")

        while a.attacker.encode() not in a.ask(ALL)[2]:
            time.sleep(0.1)
        time.sleep(0.6)  # past what is still fresh
        (_, _, everyone), work = a.ask_counted(ALL)
        assert a.attacker.encode() in everyone
        status, _, body = a.ask(f"/api/containers/{a.attacker}/detail")
        network = json.loads(body)["network"]
        shown = len(network.pop("interfaces"))
        assert status == 200 and network["interfacesLeftOut"] + shown == 2 * pairs, (shown, network)
    return f"{work.within(*MOST)} for a pass, {len(body) // 1024} KiB of detail"


_OWN_NETWORK = "import ctypes; ctypes.CDLL(None).unshare(0x40000000)\n"
_SLEEP = "import time; print('ready', flush=True); time.sleep(600)"


@contextmanager
def _inhabitant(a: KernelArena, cgroup: str, first: str = "") -> Iterator[int]:
    """A process in that cgroup of every tree; its pid."""
    with subprocess.Popen([sys.executable, "-S", "-c", first + _SLEEP], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            for tree in a.trees:
                enter(f"{tree}/{cgroup}", process.pid)
            time.sleep(0.6)
            yield process.pid
        finally:
            process.kill()
