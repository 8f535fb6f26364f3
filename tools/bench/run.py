"""make bench: what a reading costs, beside a C program that reads the same files, measured in one run, interleaved.

    python tools/bench/run.py [-n 100,1000] [--work idle,busy] [--real 100] [--rounds 10] [--repeat 3]
                              [--nofile 1024] [--json FILE] [--compare FILE] [--markdown] [--targets]

Figures are CPU microseconds (user and system, every process involved) per container and reading: medians of all rounds,
with their quartiles. Only ratios within one run mean anything. --real: containers of Docker (DOCKER_HOST) and Podman,
beside their own statistics; cAdvisor is measured where its program is on PATH. Needs root and a C compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cadvisor
import engines
import real
import report
import subjects
from agent import Agent, agent, foreign, lifted_descriptor_limit
from hosts import Containers, Host, host
from measure import Samples, Series, facts
from programs import programs
from results import Result, Results
from targets import verdicts


def ours(arguments: argparse.Namespace, containers: Containers, running: Agent, directory: str) -> Iterator[Series]:
    """The floor, the reader and the agent's streams, one after the other in blocks of some rounds.

    Not reading by reading: what a reading makes the kernel sum up is fresh for the next one, whoever asks.
    """
    rounds = arguments.rounds
    yield subjects.floor(containers, directory, rounds, 0)
    yield subjects.library(containers, directory, rounds, 0)
    yield subjects.passes(containers, directory, rounds, 0)
    yield subjects.floor(containers, directory, rounds, 1)
    yield subjects.library(containers, directory, rounds, 1)
    yield subjects.passes(containers, directory, rounds, 1)
    yield subjects.streams(running, rounds)
    yield subjects.follow(running, rounds)
    yield subjects.metrics(running, rounds)
    if arguments.clients > 1:
        yield subjects.streams(running, rounds, arguments.clients)


def cycle(arguments: argparse.Namespace, containers: Containers, directory: str, result: Result,
          made: Host | None = None) -> None:  # fmt: skip
    """Every subject of ours once, with an agent that has just been started."""
    with agent(directory, arguments.nofile) as running:
        result.add(Samples("start to first answer", "ms", [running.start_to_answer_ms]))
        result.add(Samples("first answer after start", "ms", [running.first_answer_ms]))
        result.others = max(result.others, foreign(running, len(containers.ids)))
        result.add(Samples("resident at the beginning", "MB", [running.rss_mb()]))
        for series in ours(arguments, containers, running, directory):
            result.add(series)
        cost, latencies = subjects.singles(running, containers.ids, arguments.requesters, arguments.rounds)
        result.add(cost)
        for measured in latencies:
            result.add(measured)
        if made is not None:
            result.add(subjects.newcomers(running, made, result.work, min(arguments.rounds, 5)))
        result.wrong += subjects.answers(running, containers)
        result.others = max(result.others, foreign(running, len(containers.ids)))
        result.add(subjects.idle(running, arguments.idle_seconds))
        result.add(Samples("resident at the end", "MB", [running.rss_mb()]))
        result.add(Samples(f"descriptors (limit {running.descriptor_limit():,})", "", [running.descriptors()]))


def beside(arguments: argparse.Namespace, containers: Containers, result: Result, docker: str | None) -> None:
    """cAdvisor, where there is one."""
    with cadvisor.cadvisors(arguments.warm_up if cadvisor.available() else 0, docker) as running:
        for each in running:
            result.add(each.seconds(len(containers.ids) + result.others, arguments.rounds))
            result.add(Samples(f"resident, {each.name}", "MB", [each.rss_mb()]))


def cgroup_sets(arguments: argparse.Namespace, directory: str) -> Iterator[Result]:
    """Cgroups of ours; all sizes and kinds of work in turn, again and again."""
    sets = [Result("cgroups", n, work) for work in arguments.work for n in arguments.n]
    for number in range(arguments.repeat):
        for result in sets:
            say(f"{result.label}, {number + 1} of {arguments.repeat}")
            with host(directory, directory) as made:
                began = time.monotonic()
                made.add(result.count, result.work)
                say(f"made in {time.monotonic() - began:.1f} s")
                cycle(arguments, made, directory, result, made)
                beside(arguments, made, result, None)
                result.interfaces = result.interfaces and made.interfaces
    yield from sets


def engine_sets(arguments: argparse.Namespace, directory: str) -> Iterator[Result]:
    """Containers of each engine, beside the engine's own statistics."""
    for name, cli in real.engines().items():
        for work in arguments.work:
            result = Result(f"{name} containers", arguments.real, work)
            say(f"{result.label}: starting them")
            with real.containers(cli, arguments.real, work) as containers:
                for number in range(arguments.repeat):
                    say(f"{result.label}, {number + 1} of {arguments.repeat}")
                    cycle(arguments, containers, directory, result)
                    engine_rounds(arguments, name, cli, containers, result)
            yield result


def engine_rounds(arguments: argparse.Namespace, name: str, cli: list[str], containers: Containers,
                  result: Result) -> None:  # fmt: skip
    """One block of the engine's own statistics, and of cAdvisor, which asks Docker."""
    sock = engines.docker_socket() if name == "docker" else None
    if sock:
        found = engines.docker(sock, containers.ids, arguments.rounds)
    else:
        found = engines.podman(cli, containers.ids, arguments.rounds)
    for series in found:
        result.add(series)
    beside(arguments, containers, result, sock)


def say(text: str) -> None:
    """How far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def notes(arguments: argparse.Namespace) -> list[str]:
    """What was not measured, and why."""
    program = cadvisor.available()
    found = [cadvisor.version(program) if program else "cAdvisor is not on PATH: not measured"]
    if arguments.real:
        found += [f"{name}: not here, or it does not answer" for name in ("docker", "podman")
                  if name not in real.engines()]  # fmt: skip
    return found


def arguments_() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", default="100", metavar="N[,N]", help="cgroups of ours, 0 for none (default: 100)")
    parser.add_argument("--work", default="idle", metavar="idle,busy", help="what they do (default: idle)")
    parser.add_argument("--real", type=int, default=0, metavar="N", help="containers of Docker, and as many of Podman")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3, help="how often all of it is measured again")
    parser.add_argument("--clients", type=int, default=100, help="clients of the stream at once, beside one")
    parser.add_argument("--requesters", type=int, default=50, help="of single containers")
    parser.add_argument("--idle-seconds", type=float, default=20.0, help="without clients, each time")
    parser.add_argument("--warm-up", type=float, default=60.0, metavar="SECONDS", help="for cAdvisor, each time")
    parser.add_argument("--nofile", type=int, help="the agent's limit on descriptors (default: the unit's, 65536)")
    parser.add_argument("--programs", metavar="DIR", help="floor and worker, compiled already")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--compare", metavar="FILE", help="another run's --json")
    parser.add_argument("--markdown", action="store_true", help="tables for a page such as docs/costs.md")
    parser.add_argument("--targets", action="store_true", help="at the end, the verdict on each target of the project")
    parsed = parser.parse_args()
    parsed.n = [int(each) for each in parsed.n.split(",") if int(each)]
    parsed.work = parsed.work.split(",")
    return parsed


def main() -> int:
    """Measure and print."""
    arguments = arguments_()
    lifted_descriptor_limit()
    results = Results()
    with programs(arguments.programs) as directory:
        results.sets += cgroup_sets(arguments, directory)
        if arguments.real:
            results.sets += engine_sets(arguments, directory)
    print(report.whole(results, notes(arguments), as_markdown=arguments.markdown,
                       with_targets=arguments.targets))  # fmt: skip
    if arguments.compare:
        with open(arguments.compare) as file:
            print("\n" + report.compared(json.load(file), results))
    if arguments.json:
        sets = {result.label: result.as_json() for result in results.sets}
        whole = {"facts": facts(), "options": vars(arguments), "sets": sets, "targets": verdicts(results)}
        with open(arguments.json, "w") as file:
            json.dump(whole, file, indent=1)
    return 1 if any(result.wrong for result in results.sets) else 0


if __name__ == "__main__":
    sys.exit(main())
