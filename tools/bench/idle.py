"""What agents cost that have no clients, side by side: with and without the history, of this checkout and of another.

    python tools/bench/idle.py [-n 100] [--minutes 5] [--side "NAME=OPTIONS"] … [--beside OTHER/.venv/bin/python]

All agents read the same idle cgroups in the same minutes, so what else the machine does meets all of them: compare
within one run. ``--beside`` starts the same sides once more from another checkout. Needs root and a C compiler.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from agent import Agent, lifted_descriptor_limit
from hosts import host
from measure import facts, rss_mb
from programs import programs

_SIDES = ("history = 0=--history 0", "in memory=", "and on disk=--history-dir {directory}")
_WARM_UP_SECONDS = 30.0
"""The first rounds open every file, and the page of names is read."""


class Used(NamedTuple):
    """What a process has used since it was started."""

    at_ns: int
    cpu_ns: int
    switches: int
    """Voluntary: how often it woke up."""
    written: int
    """Bytes, to disks and pages of files."""
    rss_mb: float
    """Resident now."""


@dataclass
class Side:
    """One agent."""

    name: str
    before: Used
    after: Used

    def line(self) -> str:
        """Its row of the table."""
        before, after = self.before, self.after
        seconds = (after.at_ns - before.at_ns) / 1e9
        percent = (after.cpu_ns - before.cpu_ns) / seconds / 1e7
        return (
            f"| {self.name} | {percent:.4f} % | {(after.switches - before.switches) / seconds:.2f} | "
            f"{after.rss_mb:.1f} MB | {(after.written - before.written) / seconds * 3600 / 1e6:.2f} MB |"
        )


def used(pid: int) -> Used:
    """Of all its threads: /proc/<pid>/task/*/status, /proc/<pid>/io (proc(5))."""
    switches = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            switches += next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    with open(f"/proc/{pid}/io") as file:
        written = next(int(line.split()[1]) for line in file if line.startswith("write_bytes"))
    return Used(time.monotonic_ns(), time.clock_gettime_ns((~pid << 3) | 2), switches, written, rss_mb(pid))


def sides(arguments: argparse.Namespace, directory: str) -> list[tuple[str, str, list[str]]]:
    """Name, interpreter and options of each agent."""
    found: list[tuple[str, str, list[str]]] = []
    for mark, python in (("", sys.executable), ("beside: ", arguments.beside)):
        for each in arguments.side or _SIDES if python else ():
            name, _, options = each.rpartition("=")
            own = f"{directory}/{len(found)}"
            found.append((f"{mark}{name}", python, shlex.split(options.format(directory=own))))
    return found


def measure(arguments: argparse.Namespace, directory: str) -> list[Side]:
    """Start all of them, let them run, stop them."""
    with host(directory, directory) as made, ExitStack() as stack:
        made.add(arguments.n, arguments.work)
        found = []
        for name, python, options in sides(arguments, directory):
            agent = Agent(directory, options=options, python=python)
            stack.callback(agent.stop)
            found.append((name, agent))
            time.sleep(arguments.apart)  # agents that are started together would read together, one from warm caches
        time.sleep(_WARM_UP_SECONDS)
        before = [used(agent.pid) for _, agent in found]
        time.sleep(arguments.minutes * 60)
        return [Side(name, begun, used(agent.pid)) for (name, agent), begun in zip(found, before, strict=True)]


def arguments_() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100, help="cgroups (default: 100)")
    parser.add_argument("--work", default="idle", choices=("idle", "busy"), help="what they do (default: idle)")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--side", action="append", metavar="NAME=OPTIONS", help="an agent; {directory}: one of its own")
    parser.add_argument("--beside", metavar="PYTHON", help="of another checkout's environment: the same sides of that")
    parser.add_argument("--apart", type=float, default=1.7, metavar="SECONDS", help="between the starts (default: 1.7)")
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    arguments = arguments_()
    lifted_descriptor_limit()
    with programs() as directory:
        found = measure(arguments, directory)
        print(f"{facts()}\n{arguments.n} cgroups, {arguments.work}, {arguments.minutes:g} minutes\n")
        print("| agent | CPU, of one core | wakes a second | resident | written an hour |\n|---|--:|--:|--:|--:|")
        print("\n".join(side.line() for side in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
