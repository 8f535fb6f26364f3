"""What the docker CLI shows of a live dockerd, beside what it shows of the agent: field by field, as a table.

``python tools/engines/engine_table.py unix:///var/run/docker.sock unix:///run/cgstatd/docker.sock [--stop PID]``

Both are asked with the same unmodified client, one after the other. Only the containers that both know are compared;
the agent's others (Podman's, LXC's, …) are shown below. ``--stop`` ends that dockerd, whose containers go on with
live-restore, and looks whether the agent's rows stay; start it again afterwards. Exit code 1: a difference that has no
name (NAMED in engine_fields.py), or a row that is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine_fields import COMPOSE, INFO, INSPECT, PS, STATS, VERSION, Table, field, near, same

TRIES = 5
"""A figure that differs was read a moment later, perhaps: all are asked again, so often."""
STREAM_SECONDS = 10
LIFE = (
    "run -d --name etable --network none {image} sleep 1000",
    "pause etable",
    "unpause etable",
    "rename etable etable2",
    "kill etable2",
    "rm etable2",
)


def docker(host: str, *arguments: str) -> str:
    """What the CLI prints."""
    command = ["docker", "-H", host, *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120).stdout


def objects(text: str) -> list[dict[str, Any]]:
    """Lines of JSON, among whatever moves the cursor."""
    return [json.loads(each) for each in re.findall(r"\{.*\}", text)]


def rows(host: str, *arguments: str, key: str) -> dict[str, dict[str, Any]]:
    """Lines of JSON, by one of their fields."""
    return {each[key]: each for each in objects(docker(host, *arguments, "--format", "json"))}


class Comparison:
    """Of one engine with the agent."""

    def __init__(self, theirs: str, ours: str) -> None:
        self.hosts = theirs, ours
        self.table = Table()
        self.notes: list[str] = []
        self.missing = 0

    def both(self, ask: Callable[[str], Any]) -> tuple[Any, Any]:
        """The same of each."""
        return ask(self.hosts[0]), ask(self.hosts[1])

    def everything(self, image: str) -> None:
        """All of them, in turn."""
        for what, arguments in (("ps -a", ("ps", "-a", "--no-trunc")), ("ps", ("ps", "--no-trunc"))):
            listed = [rows(host, *arguments, key="ID") for host in self.hosts]
            common = self.among(what, listed[0], listed[1])
            for key in common:
                for name, alike in PS.items():
                    self.table.compare(what, name, listed[0][key][name], listed[1][key][name], alike)
            if what == "ps -a":
                every, asked = common, listed
        running = [key for key in every if asked[0][key]["State"] in ("running", "paused")]
        self.figures(running)
        self.stream(running)
        self.inspect(every)
        self.top(running)
        for what, names in (("info", INFO), ("version", VERSION)):
            two = [json.loads(docker(host, what, "--format", "json")) for host in self.hosts]
            for name in names:
                theirs, ours = (each["Server"][name] if what == "version" else each[name] for each in two)
                self.table.compare(what, name, theirs, ours, same)
        self.compose()
        self.events(image)

    def among(self, what: str, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
        """Those that both know. The engine's others are missing, the agent's are other runtimes'."""
        common = [key for key in theirs if key in ours]
        lost = len(theirs) - len(common)
        self.missing += lost
        self.notes.append(f"`{what}`: {len(theirs)} of dockerd's, {lost} of them missing here")
        if what == "ps -a":
            self.notes += ["", "Beside Docker's:", "", "| runtime | container | command | state |", "|---|---|---|---|"]
            others = [each for key, each in ours.items() if key not in common]
            shown: dict[str, int] = {}
            for each in others:
                runtime = (re.findall(r"cgstatd\.runtime=([^,]*)", each["Labels"]) or ["?"])[0]
                shown[runtime] = shown.get(runtime, 0) + 1
                if shown[runtime] <= 3:
                    self.notes.append(f"| {runtime} | {each['Names']} | {each['Command']} | {each['Status']} |")
            self.notes += [
                "",
                f"Numbers: {', '.join(f'{n} {number}' for n, number in sorted(shown.items())) or 'none'}",
            ]
        return common

    def figures(self, running: list[str]) -> None:
        """``stats --no-stream``."""
        best: dict[tuple[str, str], tuple[Any, Any]] = {}
        for _ in range(TRIES):
            two = self.both(lambda host: rows(host, "stats", "--no-stream", "--no-trunc", *running, key="ID"))
            for key in running:
                for name, alike in STATS.items():
                    values = two[0][key][name], two[1][key][name]
                    if (key, name) not in best or alike(*values):
                        best[key, name] = values
            if all(STATS[name](*values) for (_, name), values in best.items()):
                break
        for (_, name), values in best.items():
            self.table.compare("stats --no-stream", name, *values, STATS[name])

    def stream(self, running: list[str]) -> None:
        """``stats`` for some seconds: the mean of CPU, and of the others a value that both have shown."""
        command = ["stats", "--no-trunc", "--format", "json", *running]
        with _asked(self.hosts, command) as told:
            time.sleep(STREAM_SECONDS)
        for key in running:
            two = [[each for each in found if each["ID"] == key] for found in map(objects, told)]
            for name in STATS:
                if name == "CPUPerc":  # the first may be empty in Docker
                    theirs, ours = (_mean([float(each[name].rstrip("%")) for each in found[1:]]) for found in two)
                    self.table.compare("stats, 10 s", name, theirs, ours, near)
                else:
                    seen = [{each[name] for each in found} for found in two]
                    both = seen[0] & seen[1]
                    shown = [both or sorted(each) for each in seen]
                    self.table.compare("stats, 10 s", name, shown[0], shown[1], same)

    def inspect(self, every: list[str]) -> None:
        """The fields that the agent serves."""
        two = self.both(lambda host: {each["Id"]: each for each in json.loads(docker(host, "inspect", *every))})
        for key in every:
            for name, alike in INSPECT.items():
                self.table.compare("inspect", name, field(two[0][key], name), field(two[1][key], name), alike)

    def top(self, running: list[str]) -> None:
        """Each process by its pid."""
        for key in running:
            theirs, ours = (_processes(docker(host, "top", key)) for host in self.hosts)
            self.table.compare("top", "PID", sorted(theirs), sorted(ours), same)
            for pid in theirs.keys() & ours.keys():
                for name in ("UID", "PPID", "CMD"):
                    self.table.compare("top", name, theirs[pid][name], ours[pid][name], same)

    def compose(self) -> None:
        """``docker compose ls`` and ``ps``."""
        listed = self.both(lambda host: json.loads(docker(host, "compose", "ls", "-a", "--format", "json")))
        projects = [{each["Name"]: each for each in found} for found in listed]
        for key, each in projects[0].items():
            for name in ("Status", "ConfigFiles"):
                self.table.compare("compose ls", name, each[name], projects[1].get(key, {}).get(name), same)
            two = [rows(host, "compose", "-p", key, "ps", "-a", key="Name") for host in self.hosts]
            for container, row in two[0].items():
                for name in COMPOSE:
                    self.table.compare("compose ps", name, row[name], two[1].get(container, {}).get(name), same)

    def events(self, image: str) -> None:
        """Of one container's life: as it happens, and afterwards with ``--since``."""
        began = f"{time.time():.3f}"
        names = [f"--filter=container={name}" for name in ("etable", "etable2")]
        command = ["events", "--filter=type=container", *names, "--format", "json"]
        with _asked(self.hosts, command) as told:
            for step in ("", *LIFE):
                if step:
                    docker(self.hosts[0], *step.format(image=image).split())
                time.sleep(2.5)  # the agent looks once a second
        self._happened("events", *map(objects, told))
        until = ["--since", began, "--until", f"{time.time():.3f}"]
        self._happened("events --since", *map(objects, self.both(lambda host: docker(host, *command, *until))))

    def _happened(self, what: str, theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> None:
        left = list(ours)
        order = [each["Action"] for each in theirs if each["Action"] != "kill"]
        self.table.compare(what, "order", order, [each["Action"] for each in ours], same)
        for each in theirs:
            action = each["Action"]
            found = next((one for one in left if one["Action"] == action), None)
            if found is None:
                self.table.compare("events", action, action, None, same)
                continue
            left.remove(found)
            for name in ("name", "image", "exitCode", "oldName"):
                both = [one["Actor"]["Attributes"].get(name) for one in (each, found)]
                self.table.compare(what, name, both[0], both[1], same)
            self.table.compare(what, "id", each["Actor"]["ID"], found["Actor"]["ID"], same)
            apart = abs(each["timeNano"] - found["timeNano"]) / 1e9
            self.table.compare(what, "time, to 2 s", 0, round(apart, 1), lambda _, apart: apart <= 2)

    def stop(self, pid: int) -> None:
        """Without dockerd the agent's rows of its containers stay."""
        before = rows(self.hosts[1], "ps", "--no-trunc", key="ID")
        os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            for _ in range(300):
                os.kill(pid, 0)
                time.sleep(0.1)
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    break
        after = rows(self.hosts[1], "ps", "--no-trunc", key="ID")
        for key, row in before.items():
            self.table.compare("ps, dockerd stopped", "State", row["State"], after.get(key, {}).get("State"), same)
        figures = rows(self.hosts[1], "stats", "--no-stream", "--no-trunc", *before, key="ID")
        for key in before:
            self.table.compare("stats, dockerd stopped", "ID", key, figures.get(key, {}).get("ID"), same)


@contextlib.contextmanager
def _asked(hosts: tuple[str, str], command: list[str]) -> Iterator[list[str]]:
    """Both commands run meanwhile; afterwards what they have printed."""
    running = [
        subprocess.Popen(["docker", "-H", host, *command], stdout=subprocess.PIPE, encoding="utf-8") for host in hosts
    ]
    told: list[str] = []
    yield told
    for process in running:
        process.kill()
        told.append(process.communicate()[0])


def _mean(several: list[float]) -> str:
    return f"{sum(several) / len(several):.2f}" if several else "nan"


def _processes(text: str) -> dict[str, dict[str, str]]:
    titles, *lines = text.splitlines()
    names = titles.split()
    found = [dict(zip(names, line.split(None, len(names) - 1), strict=False)) for line in lines]
    return {each["PID"]: each for each in found}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("theirs", help="the engine, as in DOCKER_HOST")
    parser.add_argument("ours", help="the agent, as in DOCKER_HOST")
    parser.add_argument("--image", default="busybox", help="of the container whose events are compared")
    parser.add_argument("--stop", type=int, metavar="PID", help="a dockerd with live-restore, ended at last")
    arguments = parser.parse_args()
    comparison = Comparison(arguments.theirs, arguments.ours)
    comparison.everything(arguments.image)
    if arguments.stop:
        comparison.stop(arguments.stop)
    print("\n".join([*comparison.table.lines(), "", *comparison.notes, ""]))
    print(f"differences without a name: {comparison.table.different}; rows missing: {comparison.missing}")
    return 1 if comparison.table.different or comparison.missing else 0


if __name__ == "__main__":
    sys.exit(main())
