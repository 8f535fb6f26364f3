"""What is measured of ours: each subject takes some rounds over all containers and says what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from agent import STREAM, Agent
from clients import BadAnswer, closed_loop, follow_rounds, get, paced, single, together
from hosts import Containers, Host
from measure import Samples, Series

QUIET_SECONDS = 6
"""A baseline (every 10 s) is left out where a request was answered less than 5 s before."""
SETTLE_SECONDS = 0.2
"""What is still to be done after the last byte of an answer costs too."""


def floor(containers: Containers, programs: str, rounds: int, pause: float) -> Series:
    """The C program, hot (pause 0) or paced; it counts its own CPU time."""
    listing = f"{programs}/list"
    with open(listing, "w") as file:
        file.write("\n".join(containers.lines) + "\n")
    out = subprocess.run(
        [f"{programs}/floor", listing, str(rounds + 1), str(int(pause * 1e6))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    if ", 0 files" not in out.stderr:
        print(f"bench: floor: {out.stderr.strip()}", file=sys.stderr)
    return _printed("floor, paced" if pause else "floor, hot", out.stdout.splitlines()[1:], len(containers.ids))


_COMMON = """
import sys, time, json
from cgroupfs import Cgroup, Root, io_counting
from cgstatd.host.limit_changes import LimitChanges
from cgstatd.sampling.open_host import HostOptions, descriptor_budget, open_host
from cgstatd.sampling.network import Namespaces
from cgstatd.sampling.process_finder import ProcessFinder
from cgstatd.sampling.pass_work import PassWork

root, sampler = Root("/"), open_host(Root("/"), HostOptions())
ids, rounds, pause = set(json.load(open(sys.argv[1]))), int(sys.argv[2]), float(sys.argv[3])
everybody = sampler.containers
containers = [w for w in everybody() if w.identity.id in ids]


def measure(read):
    for n in range(rounds + 3):
        time.sleep(pause or (0.2 if n < 3 else 0))
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        read()
        if n > 2:
            print(time.process_time_ns() - cpu, time.perf_counter_ns() - wall)
"""
_LIBRARY = """
changes, counting, kept = LimitChanges(True), io_counting(root, sampler.hierarchy), descriptor_budget()
readers, finders = [], []
for each in containers:
    cgroup = Cgroup(root, sampler.hierarchy, each.ref.path)
    readers.append(cgroup.counters(kept, counting=counting))
    changes.follow(readers[-1])
    finders.append(ProcessFinder(root, cgroup, kept))


def files():
    namespaces = Namespaces(root)
    changes.refresh(namespaces.monotonic_ns)
    if counting is not None:
        counting.refresh()
    found = [reader.read() for reader in readers]
    return found, [finder.traffic(namespaces) for finder in finders]


measure(files)
"""
_PASS = """
def listed():
    everybody()
    return containers


sampler.containers = listed


def sweep():
    made = PassWork(sampler, lambda: None)
    while made.items:
        made.items.popleft()()


measure(sweep)
"""


def library(containers: Containers, programs: str, rounds: int, pause: float) -> Series:
    """The reader library alone: the same files as the floor's, and what tells that a limit need not be read."""
    return _python("cgroupfs", _LIBRARY, containers, programs, rounds, pause)


def passes(containers: Containers, programs: str, rounds: int, pause: float) -> Series:
    """A pass of the agent without its web server: listing, identities, CPU windows, figures."""
    return _python("pass", _PASS, containers, programs, rounds, pause)


def _python(name: str, script: str, containers: Containers, programs: str, rounds: int, pause: float) -> Series:
    with open(f"{programs}/ids.json", "w") as file:
        json.dump(containers.ids, file)
    out = subprocess.run(
        [sys.executable, "-c", _COMMON + script, f"{programs}/ids.json", str(rounds), str(pause)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return _printed(f"{name}, {'paced' if pause else 'hot'}", out.stdout.splitlines(), len(containers.ids))


def _printed(name: str, lines: list[str], count: int) -> Series:
    series = Series(name)
    for line in lines:
        cpu, wall = map(int, line.split())
        series.add(cpu, wall, count)
    return series


def streams(running: Agent, rounds: int, clients: int = 1) -> Series:
    """One stream round a second, by so many clients at the same moment."""
    series = Series(f"agent, stream, {clients} client{'s' * (clients > 1)}")
    for n in range(rounds + 2):
        time.sleep(1)
        counts: list[int] = []
        cpu, wall = running.cpu(), time.perf_counter_ns()
        together(clients, lambda _: counts.append(get(running.port, STREAM).count(b"event: stat")))  # noqa: B023
        wall = time.perf_counter_ns() - wall
        time.sleep(SETTLE_SECONDS)
        if n > 1:
            series.add(running.cpu() - cpu, wall, counts[0])
    return series


def follow(running: Agent, rounds: int) -> Series:
    """One client that follows at an interval of a second: CPU from the end of a round to the end of the next."""
    series = Series("agent, follow, 1 client")
    following = follow_rounds(running.port)
    next(following), next(following)
    cpu, wall = running.cpu(), time.perf_counter_ns()
    for _ in range(rounds):
        count = next(following)
        cpu_now, wall_now = running.cpu(), time.perf_counter_ns()
        series.add(cpu_now - cpu, wall_now - wall, count)
        cpu, wall = cpu_now, wall_now
    following.close()
    return series


def metrics(running: Agent, rounds: int) -> Series:
    """One scrape of /metrics a second."""
    series = Series("agent, /metrics")
    for n in range(rounds + 2):
        time.sleep(1)
        cpu, wall = running.cpu(), time.perf_counter_ns()
        body = get(running.port, "/metrics")
        wall = time.perf_counter_ns() - wall
        time.sleep(SETTLE_SECONDS)
        if n > 1:
            series.add(running.cpu() - cpu, wall, body.count(b"\ncontainer_last_seen{"))
    return series


def singles(running: Agent, ids: list[str], concurrent: int, rounds: int) -> tuple[Series, list[Samples]]:
    """Single GETs: one requester and a flood in a closed loop, and requesters who ask once a second each."""
    cost = Series("agent, single GET", unit="request")
    alone: list[float] = []
    for _ in range(5):
        cpu, wall = running.cpu(), time.perf_counter_ns()
        alone += closed_loop(running.port, ids, 1, 20)
        cost.add(running.cpu() - cpu, time.perf_counter_ns() - wall, 20)
    poll = paced(running.port, ids, concurrent, max(3, rounds))
    flood = closed_loop(running.port, ids, concurrent, max(4, 400 // concurrent))
    return cost, [
        Samples("single GET, 1 requester, closed loop", "ms", alone),
        Samples(f"single GET, {concurrent} requesters, each once a second", "ms", poll),
        Samples(f"single GET, {concurrent} requesters, closed loop", "ms", flood),
    ]


def newcomers(running: Agent, host: Host, work: str, rounds: int) -> Samples:
    """A container that is a second old when it is asked for the first time: until its figures are there."""
    found = Samples("first answer for a container 1 s old", "ms")
    for _ in range(rounds):
        (new,) = host.add(1, work)
        time.sleep(1)
        began = time.perf_counter()
        get(running.port, single(new))
        found.values.append((time.perf_counter() - began) * 1000)
        host.remove([new])
    return found


def idle(running: Agent, seconds: float) -> Samples:
    """Percent of one core without clients; whole tens of seconds hold as many baselines each time."""
    time.sleep(QUIET_SECONDS)
    cpu, began = running.cpu(), time.monotonic()
    time.sleep(seconds)
    return Samples("without clients", "% of a core", [(running.cpu() - cpu) / (time.monotonic() - began) / 1e7])


def answers(running: Agent, containers: Containers) -> list[str]:
    """What is wrong with a whole answer: containers missing, an error event, a descriptor limit that was hit."""
    wrong = []
    try:
        body = get(running.port, STREAM)
    except (BadAnswer, OSError) as error:
        return [f"no answer: {error}"]
    missing = sum(each.encode() not in body for each in containers.ids)
    if missing:
        wrong.append(f"{missing} of {len(containers.ids)} containers missing")
    if b"event: error" in body or not body.endswith(b"event: done\ndata: {}\n\n"):
        wrong.append("an error event, or no end")
    wrong += [line for line in running.complaints() if "descriptor" in line or "Too many open files" in line]
    return wrong
