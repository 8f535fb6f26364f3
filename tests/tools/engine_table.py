"""What the docker CLI shows of a live dockerd, beside what it shows of the agent: field by field, as a table.

``python tests/tools/engine_table.py unix:///var/run/docker.sock unix:///run/cgstatd/docker.sock``

Both are asked with the same unmodified client, one after the other. Only the containers that both know are compared;
the agent's others (of other runtimes) are counted.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

CPU_POINTS = 2.0
"""How far apart the two may be."""
_MOMENT = re.compile(r"\d+ seconds?|Less than a second|About a minute|\d+ minutes")
_LABELS = re.compile(r",?cgstatd\.(?:owner|runtime)=[^,]*")


def docker(host: str, *arguments: str) -> str:
    """What the CLI prints."""
    return subprocess.run(
        ["docker", "-H", host, *arguments], capture_output=True, encoding="utf-8", check=True, timeout=120
    ).stdout


def rows(host: str, *arguments: str, key: str) -> dict[str, dict[str, Any]]:
    """Lines of JSON, by one of their fields."""
    found = [json.loads(line) for line in docker(host, *arguments, "--format", "json").splitlines()]
    return {each[key]: each for each in found}


class Table:
    """Equal and different fields, with examples of how they differ."""

    def __init__(self) -> None:
        self.equal: Counter[tuple[str, str]] = Counter()
        self.other: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], str] = {}

    def compare(self, what: str, name: str, theirs: Any, ours: Any, same: Callable[[Any, Any], bool]) -> None:
        """One field of one container."""
        key = what, name
        if same(theirs, ours):
            self.equal[key] += 1
        else:
            self.other[key] += 1
            self.examples.setdefault(key, f"`{_short(theirs)}` / `{_short(ours)}`")

    def lines(self) -> Iterable[str]:
        """Markdown."""
        yield "| asked | field | equal | different | Docker's / the agent's |"
        yield "|---|---|--:|--:|---|"
        for key in dict.fromkeys((*self.equal, *self.other)):
            different, example = self.other[key] or "", self.examples.get(key, "")
            yield f"| {key[0]} | {key[1]} | {self.equal[key]} | {different} | {example} |"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return (text if len(text) <= 60 else text[:57] + "…").replace("|", "\\|")


def _same(theirs: Any, ours: Any) -> bool:
    return bool(theirs == ours)


def _same_moment(theirs: Any, ours: Any) -> bool:
    """Asked a moment later."""
    return _MOMENT.sub("…", str(theirs)) == _MOMENT.sub("…", str(ours))


def _same_program(theirs: str, ours: str) -> bool:
    """The program without its arguments."""
    return theirs.strip('"').split(" ")[0].rstrip("…") == ours.strip('"')


def _same_labels(theirs: str, ours: str) -> bool:
    return sorted(theirs.split(",")) == sorted(_LABELS.sub("", ours).strip(",").split(","))


def _same_time(theirs: str, ours: str) -> bool:
    """Microseconds are kept."""
    return abs(_seconds(theirs) - _seconds(ours)) < 2e-6


def _seconds(text: str) -> float:
    """Of the minute."""
    return float(text.rpartition(":")[2].rstrip("Z"))


def _near(theirs: str, ours: str) -> bool:
    return abs(float(theirs.rstrip("%")) - float(ours.rstrip("%"))) <= CPU_POINTS


PS: Mapping[str, Callable[[Any, Any], bool]] = {
    "ID": _same, "Names": _same, "Image": _same, "Command": _same_program, "CreatedAt": _same, "State": _same,
    "Status": _same_moment, "Ports": _same, "Labels": _same_labels, "Networks": _same, "Mounts": _same, "Size": _same,
}  # fmt: skip
STATS: Mapping[str, Callable[[Any, Any], bool]] = {
    "ID": _same, "Name": _same, "CPUPerc": _near, "MemUsage": _same, "MemPerc": _same, "NetIO": _same, "BlockIO": _same,
    "PIDs": _same,
}  # fmt: skip
INSPECT: Mapping[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(
        "Id Name Image RestartCount Path State.Status State.Running State.Paused State.Restarting State.OOMKilled "
        "State.Pid State.ExitCode State.Health.Status HostConfig.NetworkMode HostConfig.Memory Config.Image "
        "NetworkSettings.Ports NetworkSettings.IPAddress NetworkSettings.Networks".split(),
        _same,
    ),
    "Created": _same_time,
    "State.StartedAt": _same_time,
    "State.FinishedAt": _same_time,
}


def _field(found: Any, path: str) -> Any:
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if path == "NetworkSettings.Networks":
        keys = ("NetworkID", "EndpointID", "IPAddress", "IPPrefixLen", "Gateway", "MacAddress")
        return {name: {key: each[key] for key in keys} for name, each in (found or {}).items()}
    return found


def compare(theirs: str, ours: str) -> tuple[Table, list[str]]:
    """Everything that the two answer."""
    table, notes = Table(), []
    asked = {host: rows(host, "ps", "-a", "--no-trunc", key="ID") for host in (theirs, ours)}
    common = [key for key in asked[theirs] if key in asked[ours]]
    more = Counter(
        re.findall(
            r"cgstatd\.runtime=([^,]*)", " ".join(r["Labels"] for k, r in asked[ours].items() if k not in common)
        )
    )
    others = ", ".join(f"{name} {number}" for name, number in sorted(more.items())) or "none"
    missing = len(asked[theirs]) - len(common)
    notes.append(f"`ps -a`: {len(asked[theirs])} of dockerd's, {missing} of them missing here; besides these: {others}")
    for key in common:
        for name, same in PS.items():
            table.compare("ps -a", name, asked[theirs][key][name], asked[ours][key][name], same)
    running = [key for key in common if asked[theirs][key]["State"] in ("running", "paused")]
    figures = {host: rows(host, "stats", "--no-stream", "--no-trunc", *running, key="ID") for host in (ours, theirs)}
    for key in running:
        for name, same in STATS.items():
            table.compare("stats --no-stream", name, figures[theirs][key][name], figures[ours][key][name], same)
    found = {
        host: {each["Id"]: each for each in json.loads(docker(host, "inspect", *common))} for host in (theirs, ours)
    }
    for key in common:
        for name, same in INSPECT.items():
            table.compare("inspect", name, _field(found[theirs][key], name), _field(found[ours][key], name), same)
    for key in running:
        tops = [[line.split()[1] for line in docker(host, "top", key).splitlines()[1:]] for host in (theirs, ours)]
        table.compare("top", "PID", sorted(tops[0]), sorted(tops[1]), _same)
    for what in (
        "NCPU",
        "MemTotal",
        "OperatingSystem",
        "KernelVersion",
        "Architecture",
        "CgroupVersion",
        "Name",
        "OSType",
    ):
        infos = [json.loads(docker(host, "info", "--format", "json"))[what] for host in (theirs, ours)]
        table.compare("info", what, *infos, _same)
    for what in ("Os", "Arch", "KernelVersion", "MinAPIVersion"):
        versions = [json.loads(docker(host, "version", "--format", "json"))["Server"][what] for host in (theirs, ours)]
        table.compare("version", what, *versions, _same)
    for name, arguments in (("compose ls", ("compose", "ls", "-a", "--format", "json")),):
        projects = [{each["Name"]: each for each in json.loads(docker(host, *arguments))} for host in (theirs, ours)]
        for key, each in projects[0].items():
            for field in ("Status", "ConfigFiles"):
                table.compare(name, field, each[field], projects[1].get(key, {}).get(field), _same)
            two = [rows(host, "compose", "-p", key, "ps", "-a", key="Name") for host in (theirs, ours)]
            for container, row in two[0].items():
                for field in ("Service", "State", "Health", "ExitCode", "Image", "Project", "Publishers"):
                    table.compare("compose ps", field, row[field], two[1].get(container, {}).get(field), _same)
    return table, notes


LIFE = (
    "run -d --name etable --network none {image} sleep 1000",
    "pause etable",
    "unpause etable",
    "rename etable etable2",
    "kill etable2",
    "rm etable2",
)


def events(theirs: str, ours: str, image: str) -> list[str]:
    """What each tells of one container's life; both are asked at the same time."""
    names = [f"--filter=container={name}" for name in ("etable", "etable2")]
    asked = [
        subprocess.Popen(
            ["docker", "-H", host, "events", "--filter=type=container", *names, "--format", "json"],
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for host in (theirs, ours)
    ]
    for step in ("", *LIFE):
        if step:
            docker(theirs, *step.format(image=image).split())
        time.sleep(2.5)  # the agent looks once a second
    told = []
    for process in asked:
        process.terminate()
        told.append(", ".join(_happened(json.loads(line)) for line in process.communicate()[0].splitlines()))
    return told


def _happened(event: dict[str, Any]) -> str:
    code = event["Actor"]["Attributes"].get("exitCode")
    return str(event["Action"]) + (f" exitCode={code}" if code else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("theirs", help="the engine, as in DOCKER_HOST")
    parser.add_argument("ours", help="the agent, as in DOCKER_HOST")
    parser.add_argument("--image", default="busybox", help="of the container whose events are compared")
    arguments = parser.parse_args()
    table, notes = compare(arguments.theirs, arguments.ours)
    print("\n".join([*table.lines(), "", *notes]))
    theirs, ours = events(arguments.theirs, arguments.ours, arguments.image)
    print(f"`events`: Docker's {theirs}; the agent's {ours}")


if __name__ == "__main__":
    main()
