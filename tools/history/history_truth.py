"""Compares the history with an independent recorder of the kernel's files, over minutes, with containers that work.

    python tools/history/history_truth.py [--minutes 10] [-n 20] [--interval 10] [--engine docker]

It makes cgroups with busy processes (with `--engine` real containers of Docker or Podman), starts an agent of its own
(the `cgstatd` beside this Python), and reads the files itself twice a second, with parsers of its own. Then it asks
`/api/history` for every round, and `/api/containers/{id}/history` for the rate over all of it.

Each counter of each round has to lie between what the files said before the agent's reading of the container began and
after the round was over; gauges between the least and the largest of that time. The growth over the whole time has to
be that of the files, and the answer's rate that growth. Prints a line for each counter; exit code 1 where any is wrong,
or a container has no round. Needs root and a C compiler. Only the recorder of this tool asks an engine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../bench")

from agent import Agent, lifted_descriptor_limit
from clients import get
from hosts import Containers, host
from programs import programs
from real import containers as real_containers
from real import engines

from cgroupfs import Root, detect

COUNTERS = ("cpuUsageNsec", "blockRead", "blockWrite", "networkRx", "networkTx", "oomKills", "memoryPeak")
GAUGES = ("memoryRaw", "memoryCache", "pids")
RATES = (
    ("cpuPercent", "cpuUsageNsec", "monotonicNsec", 100),
    ("networkRxRate", "networkRx", "networkMonotonicNsec", 1e9),
    ("blockWriteRate", "blockWrite", "blockMonotonicNsec", 1e9),
)
"""Rate, counter, when that was read, units a nanosecond."""
PAUSE_SECONDS = 0.5
STOCK_BYTES = 64 * 4096 * (os.cpu_count() or 1)
"""The kernel charges memory in batches of up to 64 pages a processor: between two looks it may be so much more."""
Values = dict[str, int]


class Look(NamedTuple):
    """What the files of a container said between two instants of the monotonic clock."""

    before_ns: int
    after_ns: int
    values: Values


@dataclass
class Verdict:
    """Of one figure."""

    compared: int = 0
    wrong: list[str] = field(default_factory=list)

    def say(self, right: bool, words: str) -> None:
        """One comparison."""
        self.compared += 1
        if not right:
            self.wrong.append(words)


def _lines_sum(text: str, word: str) -> int:
    return sum(int(number) for number in re.findall(rf"{word}[ =](\d+)", text))


def _traffic(text: str) -> tuple[int, int]:
    lines = [line.replace(":", " ").split() for line in text.splitlines()[2:]]
    mine = [words for words in lines if words[0] != "lo"]
    return sum(int(words[1]) for words in mine), sum(int(words[9]) for words in mine)


class Files:
    """The files of one container."""

    def __init__(self, line: str, pids_root: str, memory_root: str) -> None:
        self.cpu, self.memory, self.stat, _, self.io, self.net = line.split()
        self.v1 = self.memory.endswith("usage_in_bytes")
        directory = os.path.dirname(self.memory)
        self.peak = f"{directory}/{'memory.max_usage_in_bytes' if self.v1 else 'memory.peak'}"
        self.oom = f"{directory}/{'memory.oom_control' if self.v1 else 'memory.events'}"
        self.pids = f"{pids_root}{directory.removeprefix(memory_root)}/pids.current"

    def look(self) -> Look:
        """All of them, now. What is not there is left out."""
        before, values = time.monotonic_ns(), Values()
        for name, path, parse in (
            ("cpuUsageNsec", self.cpu, self._usage),
            ("memoryRaw", self.memory, int),
            ("memoryCache", self.stat, self._cache),
            ("memoryPeak", self.peak, int),
            ("oomKills", self.oom, lambda text: _lines_sum(text, r"\boom_kill")),
            ("pids", self.pids, int),
            ("blockRead", self.io, lambda text: _lines_sum(text, r"\bRead" if self.v1 else r"\brbytes")),
            ("blockWrite", self.io, lambda text: _lines_sum(text, r"\bWrite" if self.v1 else r"\bwbytes")),
            ("networkRx", self.net, lambda text: _traffic(text)[0]),
            ("networkTx", self.net, lambda text: _traffic(text)[1]),
        ):
            try:
                with open(path) as file:
                    values[name] = parse(file.read())
            except OSError:
                continue
        return Look(before, time.monotonic_ns(), values)

    def _usage(self, text: str) -> int:
        return int(text) if self.v1 else 1000 * _lines_sum(text, r"\busage_usec")

    def _cache(self, text: str) -> int:
        return _lines_sum(text, r"(?m)^total_inactive_file" if self.v1 else r"(?m)^inactive_file")


class Recorder:
    """Looks at the files of all containers again and again, in a thread."""

    def __init__(self, containers: Containers) -> None:
        hierarchy = detect(Root("/"))
        pids, memory = hierarchy.mount("pids"), hierarchy.mount("memory")
        if pids is None or memory is None:
            raise SystemExit("the controllers pids and memory are not there")
        self.files = {
            each: Files(line, pids.point, memory.point)
            for each, line in zip(containers.ids, containers.lines, strict=True)
        }
        self.looks: dict[str, list[Look]] = {each: [] for each in self.files}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            for each, files in self.files.items():
                self.looks[each].append(files.look())

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Meanwhile it does."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    def around(self, which: str, began_ns: int, over_ns: int) -> list[Look]:
        """From the last look that was over before an instant to the first that began behind another; empty: there are
        none on both sides."""
        looks = self.looks[which]
        first = bisect_right(looks, began_ns, key=lambda look: look.after_ns) - 1
        last = bisect_left(looks, over_ns, key=lambda look: look.before_ns)
        return looks[first : last + 1] if first >= 0 and last < len(looks) else []


def rounds_of(agent: Agent) -> list[dict[str, Any]]:
    """Every round, by its cursor."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        head, *lines = map(json.loads, get(agent.port, f"/api/history?cursor={cursor}&limit=100").splitlines())
        found += lines
        if not lines or lines[-1]["cursor"] == head["latest"]:
            return found
        cursor = lines[-1]["cursor"]


def compare(recorder: Recorder, rounds: list[dict[str, Any]], verdicts: dict[str, Verdict]) -> None:
    """Every figure of every round."""
    for each in rounds:
        for container in each["containers"]:
            if container["id"] not in recorder.files:
                continue
            looks = recorder.around(container["id"], container["monotonicNsec"], each["monotonicNsec"])
            for name in (*COUNTERS, *GAUGES) if looks else ():
                value, seen = container[name], [look.values[name] for look in looks if name in look.values]
                if value is None or not seen:
                    continue
                slack = STOCK_BYTES if name in ("memoryRaw", "memoryCache") else 0
                least, most = (seen[0], seen[-1]) if name in COUNTERS else (min(seen) - slack, max(seen) + slack)
                words = f"round {each['round']}, {container['id'][:12]}: {value} is not in {least} .. {most}"
                verdicts[name].say(least <= value <= most, words)


def windows(agent: Agent, recorder: Recorder, rounds: list[dict[str, Any]], verdicts: dict[str, Verdict]) -> None:
    """The growth from the first round of each container to its last, and the rate that the agent makes of it."""
    for which in recorder.files:
        mine = [(each, c) for each in rounds for c in each["containers"] if c["id"] == which]
        if len(mine) < 2:
            verdicts["rounds"].say(False, f"{which[:12]}: {len(mine)} rounds")
            continue
        verdicts["rounds"].say(True, "")
        inside = [
            (each, c, looks)
            for each, c in mine
            if (looks := recorder.around(which, c["monotonicNsec"], each["monotonicNsec"]))
        ]
        (_, first, early), (_, last, late) = inside[0], inside[-1]
        for name in COUNTERS:
            if first[name] is None or last[name] is None or name not in early[0].values:
                continue
            grown = last[name] - first[name]
            least = late[0].values[name] - early[-1].values[name]
            most = late[-1].values[name] - early[0].values[name]
            verdicts["growth"].say(least <= grown <= most, f"{which[:12]} {name}: {grown} is not in {least} .. {most}")
        span = f"since={inside[1][0]['timestamp']}&until={inside[-1][0]['timestamp']}"
        answer = json.loads(get(agent.port, f"/api/containers/{which}/history?{span}"))
        for name, counter, clock, unit in RATES:
            pairs = [(before, now) for (_, before, _), (_, now, _) in pairwise(inside)]
            if any(None in (before[counter], now[counter], before[clock], now[clock]) for before, now in pairs):
                continue
            rates = [(now[counter] - before[counter]) / (now[clock] - before[clock]) * unit for before, now in pairs]
            known = [value for value in answer["figures"][name]["mean"] if value is not None]
            if len(known) < len(rates) - 1:
                continue  # a round was so late that it shares a step with another one
            for right in rates[1:-1]:  # at its ends the answer may have a step more or less
                near = min(known, key=lambda each: abs(each - right))
                words = f"{which[:12]} {name}: no step has {right:.3f}, the nearest {near:.3f}"
                verdicts["rate"].say(abs(near - right) < 0.02 + right / 500, words)


def play(arguments: argparse.Namespace, directory: str, stack: ExitStack) -> dict[str, Verdict]:
    """Run everything, and compare."""
    if arguments.engine:
        found = engines().get(arguments.engine)
        if found is None:
            raise SystemExit(f"{arguments.engine} does not answer")
        made: Containers = stack.enter_context(real_containers(found, arguments.n, "busy"))
    else:
        cgroups = stack.enter_context(host(directory, directory))
        cgroups.add(arguments.n, "busy")
        made = cgroups
    options = ["--history-interval", str(arguments.interval), *arguments.agent_argument]
    agent = Agent(directory, options=options)
    stack.callback(agent.stop)
    recorder = Recorder(made)
    with recorder.recording():
        time.sleep(arguments.minutes * 60)
        rounds = rounds_of(agent)
        time.sleep(2 * PAUSE_SECONDS)
    verdicts = {name: Verdict() for name in (*COUNTERS, *GAUGES, "growth", "rate", "rounds")}
    compare(recorder, rounds, verdicts)
    windows(agent, recorder, rounds, verdicts)
    print(f"{len(rounds)} rounds of {len(recorder.files)} containers, {sum(map(len, recorder.looks.values()))} looks")
    return verdicts


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("-n", type=int, default=20, help="containers (default: 20)")
    parser.add_argument("--interval", type=float, default=10.0, help="of the history, in seconds (default: 10)")
    parser.add_argument("--engine", choices=("docker", "podman"), help="real containers of this engine")
    parser.add_argument("--agent-argument", action="append", default=[], help="passed to `cgstatd serve`")
    arguments = parser.parse_args()
    lifted_descriptor_limit()
    with programs() as directory, ExitStack() as stack:
        verdicts = play(arguments, directory, stack)
    for name, verdict in verdicts.items():
        print(f"{name:14} {verdict.compared:8} compared {len(verdict.wrong):6} wrong")
        for words in verdict.wrong[:5]:
            print(f"    {words}")
    return 1 if any(verdict.wrong or not verdict.compared for verdict in verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
