"""make bench: what a reading costs, beside a C program that reads the same files, measured in one run, interleaved.

    python tests/bench/run.py [-n 100] [--rounds 10] [--repeat 3] [--work idle|busy] [--idle-seconds 60]
                              [--json FILE] [--compare FILE]

Needs root (it makes cgroups and network namespaces) and a C compiler. Figures are CPU microseconds (user and system,
all threads of every process involved) per container and reading: medians of all rounds, with their quartiles. Only
ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import subjects
from engines import engine_series
from hosts import cgroups, compile_programs
from measure import Series, median, spread

HERE = os.path.dirname(os.path.abspath(__file__))


def facts() -> dict[str, Any]:
    """The machine, so that two results can be told apart."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "")
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "cpu": model,
        "load": os.getloadavg()[0],
    }


def merged(runs: list[Series]) -> Series:
    """The rounds of repeated runs as one series."""
    first = runs[0]
    return Series(first.name, first.unit, [c for r in runs for c in r.cpu], [w for r in runs for w in r.wall])


def table(found: list[Series]) -> str:
    """Name, median CPU, quartiles, ratio to the paced floor, wall."""
    base = next((median(s.cpu) for s in found if s.name == "floor, paced"), float("nan"))
    lines = [f"{'subject':34} {'CPU us':>9} {'quartiles':>17} {'x paced floor':>13} {'wall us':>9}"]
    for series in found:
        low, high = spread(series.cpu)
        cpu = median(series.cpu)
        lines.append(
            f"{series.name:34} {cpu:9.1f} {low:8.1f}-{high:<8.1f} {cpu / base:13.2f} {median(series.wall):9.1f}"
        )
    return "\n".join(lines)


def interleaved(repeat: int, subjects_: list[Callable[[], Series]]) -> list[Series]:
    """Each subject in turn, all of them again and again: a change of the machine's mood hits every one alike."""
    runs: list[list[Series]] = [[] for _ in subjects_]
    for _ in range(repeat):
        for number, subject in enumerate(subjects_):
            runs[number].append(subject())
    return [merged(each) for each in runs]


def measure(arguments: argparse.Namespace, directory: str) -> tuple[list[Series], dict[str, Any]]:
    """Everything, for one number of containers."""
    extra: dict[str, Any] = {}
    with cgroups(arguments.n, arguments.work, directory) as bench, subjects.agent() as running:
        rounds, count = arguments.rounds, len(bench.ids)
        extra["first answer s"] = running.first_answer_seconds
        found = interleaved(
            arguments.repeat,
            [
                lambda: subjects.floor(bench, directory, rounds, 0),
                lambda: subjects.library(bench, directory, rounds, 0),
                lambda: subjects.floor(bench, directory, rounds, 1),
                lambda: subjects.library(bench, directory, rounds, 1),
                lambda: subjects.streams(running, count, rounds),
            ],
        )
        if arguments.clients > 1:
            found.append(subjects.streams(running, count, rounds, arguments.clients))
        for concurrent in (1, 50):
            times = subjects.singles(running, bench.ids, concurrent, max(4, 400 // concurrent))
            extra[f"single GET, {concurrent} at once, ms median"] = median(times)
            extra[f"single GET, {concurrent} at once, ms p99"] = times[int(len(times) * 0.99)]
        extra["resident MB"] = running.rss() / 1e6
        extra["idle % of a core"] = subjects.idle(running, arguments.idle_seconds)
    found += engine_series(arguments.rounds)
    return found, extra


def compare(old: dict[str, Any], found: list[Series]) -> str:
    """This run's medians beside another's: a second machine, or the same one before a change."""
    lines = [f"{'subject':34} {'then':>9} {'now':>9} {'now/then':>9}"]
    for series in found:
        then = old["series"].get(series.name)
        if then:
            lines.append(f"{series.name:34} {then['cpu']:9.1f} {median(series.cpu):9.1f} "
                         f"{median(series.cpu) / then['cpu']:9.2f}")  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100, help="containers (default: 100)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clients", type=int, default=100, help="clients of the stream at once, beside one")
    parser.add_argument("--work", choices=("idle", "busy"), default="idle")
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--compare", metavar="FILE", help="another run's --json")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("bench: needs root: it makes cgroups and network namespaces", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="cgstatd-bench-") as directory:
        compile_programs(HERE, directory)
        found, extra = measure(arguments, directory)
    print(f"{arguments.n} {arguments.work} containers; {facts()}\n\n{table(found)}\n")
    for name, value in extra.items():
        print(f"{name:34} {value:9.3f}")
    if arguments.compare:
        with open(arguments.compare) as file:
            print("\n" + compare(json.load(file), found))
    if arguments.json:
        series = {s.name: {"cpu": median(s.cpu), "wall": median(s.wall), "quartiles": spread(s.cpu)} for s in found}
        with open(arguments.json, "w") as file:
            json.dump({"facts": facts(), "n": arguments.n, "work": arguments.work, "series": series, "extra": extra},
                      file, indent=1)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
