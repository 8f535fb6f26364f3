"""Does the agent stay as small as it began? Containers come and go all the time, and clients ask all the time.

    python tools/bench/soak.py [--minutes 30] [-n 100] [--churn 5] [--every 60] [--freshness 0.1] [--json FILE]

Prints resident memory, descriptors, threads and inotify watches once a minute and says of each whether it is flat. At
the end the containers go, and what is still held is compared with what was held before they came: descriptors, threads
and watches have to be the same. Of descriptors it counts those too that lead to the soak's own cgroups and processes:
other containers, which may come and go on this host, have no part in these. With ``--freshness`` the array and one
container by its name are asked for so often, each time for a new reading, and a follower has the least interval there
is; the last table says how often each was answered, and how many readings that were (one takes 0.2 s where a container
has just come). Exit status: 0 flat; 1 not, or requests failed. Needs what run.py needs.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import soak_clients
from agent import Agent, agent, foreign, lifted_descriptor_limit
from clients import get
from hosts import Host, host
from measure import belonging, descriptors, facts, median, rss_mb, threads, watches
from programs import programs

TOLERANCE = {"rss_mb": (0.03, 1.0), "fds": (0.03, 30), "own_fds": (0.03, 30), "threads": (0, 2), "watches": (0.03, 5)}
"""How much the last third's median may exceed the first's: a share of it, and at least so much."""
WARM_UP_SHARE = 0.4
"""The first part of the time is not looked at: the ends of containers are kept for ten minutes, so that memory grows
for as long; of thirty minutes these are twelve."""
AFTERWARDS_SECONDS = 20
"""A stream's readings go on for 15 seconds after its last client left."""
EACH_OTHER = {"fds": 12, "own_fds": 0, "threads": 0, "watches": 4}
"""What may be held for each container that is not ours and came meanwhile."""
KEPT = "KEPT"
WINDOW = 0.8
"""The agent's freshness, of what is between two requests: each is a reading then, however they are delayed."""
OTHERS = 5
"""How many containers that are not ours may come and go without comment: the agent reads whatever is on the host."""


def row(running: Agent, began: float, made: Host, counts: collections.Counter[str]) -> dict[str, float]:
    """The agent as it is now."""
    containers = len(made.ids)
    return {
        "minute": round((time.monotonic() - began) / 60, 2),
        "containers": containers,
        "others": foreign(running, containers),
        "cgroups": sum(len(found) for _, found, _ in os.walk("/sys/fs/cgroup")),
        "rss_mb": round(rss_mb(running.pid), 2),
        "fds": descriptors(running.pid),
        "own_fds": belonging(running.pid, made.name, made.live, made.ended),
        "threads": threads(running.pid),
        "watches": watches(running.pid),
        "passes": json.loads(get(running.port, "/api/host"))["agent"]["passes"],
        "cpu_seconds": round(running.cpu() / 1e9, 2),
        "answers": counts["answers"],
        "failed": counts["failed"],
    }


def show(each: Mapping[str, float | str]) -> None:
    """One line."""
    print("  ".join(f"{value:>{max(len(name), 7)}}" for name, value in each.items()), flush=True)


def churn(made: Host, wanted: int, every: float, until: float) -> int:
    """Until then start a container and end the oldest, at a pace; how many were started."""
    started, due = 0, time.monotonic()
    while (now := time.monotonic()) < until:
        if now < due:
            time.sleep(min(due, until) - now)
            continue
        due = max(due + every, now - 1)  # a pause of the machine is not made up for by a burst
        made.add(1)
        started += 1
        if len(made.ids) > wanted:
            made.remove(made.ids[:1])
    return started


def flat(rows: list[dict[str, float]]) -> dict[str, tuple[float, float, bool]]:
    """Of each figure the first and the last third's median, and whether the last is no more than tolerated."""
    rows = rows[int(len(rows) * WARM_UP_SHARE) :]
    third = max(1, len(rows) // 3)
    found = {}
    for name, (share, least) in TOLERANCE.items():
        first, last = (median([each[name] for each in part]) for part in (rows[:third], rows[-third:]))
        found[name] = (first, last, last <= first + max(first * share, least))
    return found


def soak(arguments: argparse.Namespace, made: Host, running: Agent) -> dict[str, Any]:
    """The whole of it."""
    counts: collections.Counter[str] = collections.Counter()
    began, rows, started = time.monotonic(), [], 0
    soak_clients.once(running.port)
    time.sleep(2)  # connections are closed by then
    before = row(running, began, made, counts)
    show({name: name for name in before})
    show(before)
    made.add(arguments.n)
    asked = time.monotonic()
    with soak_clients.clients(running.port, lambda: made.ids, counts, arguments.freshness) as numbers:
        print(f"# clients: {numbers}", flush=True)
        while time.monotonic() - began < arguments.minutes * 60 and running.alive():
            until = min(time.monotonic() + arguments.every, began + arguments.minutes * 60)
            started += churn(made, arguments.n, 1 / arguments.churn, until)
            rows.append(row(running, began, made, counts))
            show(rows[-1])
        seconds = time.monotonic() - asked
    made.remove(made.ids)
    time.sleep(AFTERWARDS_SECONDS)
    soak_clients.once(running.port)
    time.sleep(2)
    after = row(running, began, made, counts)
    show(after)
    return {
        "before": before,
        "rows": rows,
        "after": after,
        "started": started,
        "counts": dict(counts),
        "seconds": seconds,
    }


def kept(before: dict[str, float], after: dict[str, float]) -> dict[str, str]:
    """Of each figure that has to be the same when our containers are gone: whether it is, in words."""
    cgroups = max(0, after["cgroups"] - before["cgroups"])  # somebody else's: each may be watched
    came = max(0, after["others"] - before["others"])
    found = {}
    for name, each in EACH_OTHER.items():
        allowed = each * came + (cgroups if name == "watches" else 0)
        more = after[name] - before[name]
        found[name] = "equal" if more == 0 else "fewer" if more < 0 else f"of others, at most {allowed:.0f}"
        if more > allowed:
            found[name] = KEPT
    return found


def verdict(result: dict[str, Any], complaints: list[str]) -> bool:
    """Print it."""
    others = {each["others"] for each in result["rows"]}
    if max(others) - min(others) > OTHERS:
        print(f"\nOther containers came and went on this host ({min(others):.0f} to {max(others):.0f}): "
              "what follows says little, but for own_fds.")  # fmt: skip
    print(f"\n{result['started']} containers were started and ended.")
    seconds = result["seconds"]
    for kind, number in sorted(result["counts"].items()):
        print(f"{kind:16} {number:9}  {number / seconds:6.2f} a second")
    passes = result["rows"][-1]["passes"] - result["before"]["passes"]
    print(f"{'passes':16} {passes:9.0f}  {passes / seconds:6.2f} a second\n")
    good = True
    for name, (first, last, held) in flat(result["rows"]).items():
        print(f"{name:10} first third {first:9.2f}  last third {last:9.2f}  {'flat' if held else 'GROWS'}")
        good = good and held
    print()
    for name, words in kept(result["before"], result["after"]).items():
        print(f"{name:10} before {result['before'][name]:6.0f}  after {result['after'][name]:6.0f}  {words}")
        good = good and words != KEPT
    print(f"complaints of the agent: {len(complaints)}", *collections.Counter(complaints).most_common(5), sep="\n  ")
    good = good and not result["counts"].get("failed")
    print("verdict: " + ("flat" if good else "NOT FLAT, or requests failed"))
    return good


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100, help="containers at any time (default: 100)")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--churn", type=float, default=5, metavar="PER_SECOND", help="containers started and ended")
    parser.add_argument("--every", type=float, default=60, metavar="SECONDS", help="one line of the table")
    parser.add_argument("--freshness", type=float, metavar="SECONDS", help="0.1: ask, and read, ten times a second")
    parser.add_argument("--nofile", type=int, help="the agent's limit on descriptors")
    parser.add_argument("--programs", metavar="DIR", help="floor and worker, compiled already")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    window = None if arguments.freshness is None else arguments.freshness * WINDOW
    lifted_descriptor_limit()
    # the host first: the agent is to know its directories before anything is counted
    with programs(arguments.programs) as directory, host(directory, directory) as made, \
            agent(directory, arguments.nofile, window) as running:  # fmt: skip
        result = soak(arguments, made, running)
        complaints = running.complaints()
    good = verdict(result, complaints)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"facts": facts(), "flat": good, "complaints": complaints, **result}, file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
