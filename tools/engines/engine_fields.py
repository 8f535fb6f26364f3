"""Fields of two answers side by side: equal, different by a reason that is known, or different."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

CPU_POINTS = 2.0
"""How far apart the two may be."""
Same = Callable[[Any, Any], bool]
_MOMENT = re.compile(r"\d+ seconds?|Less than a second|About a minute|\d+ minutes")
_LABELS = re.compile(r",?cgstatd\.(?:owner|runtime)=[^,]*")
_HEALTH = re.compile(r" \((?:health: )?(?:(?:un)?healthy|starting)(?: [^)]* ago)?\)")
HEALTH = "an older health, with its age: Docker keeps the latest in memory"
ARGUMENTS = "arguments are never shown"
PATHS = "paths of the host are never shown, names of volumes are"
OWN = "the agent's own"
EVERY_RUNTIME = "the agent counts the containers of every runtime"
NAMED: Mapping[tuple[str, str], tuple[str, Same]] = {
    ("ps -a", "Status"): (
        HEALTH,
        lambda theirs, ours: same_moment(*(_HEALTH.sub("", each) for each in (theirs, ours))),
    ),
    ("ps", "Status"): (HEALTH, lambda theirs, ours: same_moment(*(_HEALTH.sub("", each) for each in (theirs, ours)))),
    **dict.fromkeys(
        (("ps -a", "Mounts"), ("ps", "Mounts")),
        (
            PATHS,
            lambda theirs, ours: [each for each in theirs.split(",") if "/" not in each] == ours.split(",") or not ours,
        ),
    ),
    ("inspect", "State.Health.Status"): (HEALTH, lambda _, ours: ours in ("starting", "healthy", "unhealthy")),
    ("compose ps", "Health"): (HEALTH, lambda _, ours: ours in ("", "starting", "healthy", "unhealthy")),
    ("top", "CMD"): (ARGUMENTS, lambda theirs, ours: " " in theirs and " " not in ours),
    ("events", "kill"): ("kill leaves no trace in Docker's state", lambda _, ours: ours is None),
    ("version", "Version"): (OWN, lambda _, ours: ours != ""),
    ("version", "ApiVersion"): ("the agent serves newer clients, too", lambda theirs, ours: theirs < ours),
    ("version", "GitCommit"): (OWN, lambda _, ours: ours == ""),
    ("version", "GoVersion"): (OWN, lambda _, ours: ours == ""),
    ("info", "ServerVersion"): (OWN, lambda _, ours: ours != ""),
    ("info", "Driver"): ("the engine's configuration", lambda _, ours: ours == "cgstatd"),
    ("info", "Containers"): (EVERY_RUNTIME, lambda theirs, ours: theirs < ours),
    ("info", "ContainersRunning"): (EVERY_RUNTIME, lambda theirs, ours: theirs < ours),
    ("info", "ContainersPaused"): (EVERY_RUNTIME, lambda theirs, ours: theirs < ours),
    ("info", "ContainersStopped"): (EVERY_RUNTIME, lambda theirs, ours: theirs < ours),
    ("info", "Images"): ("the agent knows the images of containers alone", lambda _, ours: ours > 0),
}
"""Differences that are meant, and what the agent's answer has to be for one to be taken for that."""


class Table:
    """Counts, with an example of each difference."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], Counter[str]] = {}
        self.examples: dict[tuple[str, str], str] = {}

    def compare(self, what: str, name: str, theirs: Any, ours: Any, same: Same) -> None:
        """One field of one container."""
        key, verdict = (what, name), "equal"
        if not same(theirs, ours):
            reason, fits = NAMED.get(key, ("", same))
            verdict = "named" if fits(theirs, ours) else "different"
            words = f": {reason}" if verdict == "named" else ""
            self.examples.setdefault(key, f"`{short(theirs)}` / `{short(ours)}`{words}")
        self.counts.setdefault(key, Counter())[verdict] += 1

    @property
    def different(self) -> int:
        """Differences that have no name."""
        return sum(each["different"] for each in self.counts.values())

    def lines(self) -> Iterable[str]:
        """Markdown."""
        yield "| asked | field | equal | named | different | Docker's / the agent's |"
        yield "|---|---|--:|--:|--:|---|"
        for (what, name), each in self.counts.items():
            numbers = " | ".join(str(each[verdict] or "") for verdict in ("equal", "named", "different"))
            yield f"| {what} | {name} | {numbers} | {self.examples.get((what, name), '')} |"


def short(value: Any) -> str:
    """For a cell."""
    text = value if isinstance(value, str) else json.dumps(value)
    return (text if len(text) <= 60 else text[:57] + "…").replace("|", "\\|")


def same(theirs: Any, ours: Any) -> bool:
    """Equal."""
    return bool(theirs == ours)


def same_moment(theirs: Any, ours: Any) -> bool:
    """Asked a moment later."""
    return _MOMENT.sub("…", str(theirs)) == _MOMENT.sub("…", str(ours))


def same_program(theirs: str, ours: str) -> bool:
    """The program without its arguments."""
    return theirs.strip('"').split(" ")[0].rstrip("…") == ours.strip('"')


def same_labels(theirs: str, ours: str) -> bool:
    """In any order, without the agent's own."""
    return sorted(theirs.split(",")) == sorted(_LABELS.sub("", ours).strip(",").split(","))


def same_time(theirs: str, ours: str) -> bool:
    """Microseconds are kept."""
    return theirs[:17] == ours[:17] and abs(float(theirs[17:].rstrip("Z")) - float(ours[17:].rstrip("Z"))) < 2e-6


def near(theirs: str, ours: str) -> bool:
    """Percentages."""
    return abs(float(theirs.rstrip("%")) - float(ours.rstrip("%"))) <= CPU_POINTS


PS: Mapping[str, Same] = {
    "ID": same, "Names": same, "Image": same, "Command": same_program, "CreatedAt": same, "State": same,
    "Status": same_moment, "Ports": same, "Labels": same_labels, "Networks": same, "Mounts": same, "Size": same,
}  # fmt: skip
STATS: Mapping[str, Same] = {
    "ID": same, "Name": same, "CPUPerc": near, "MemUsage": same, "MemPerc": same, "NetIO": same, "BlockIO": same,
    "PIDs": same,
}  # fmt: skip
INSPECT: Mapping[str, Same] = {
    **dict.fromkeys(
        "Id Name Image RestartCount Path State.Status State.Running State.Paused State.Restarting State.OOMKilled "
        "State.Pid State.ExitCode State.Health.Status HostConfig.NetworkMode HostConfig.Memory HostConfig.MemorySwap "
        "HostConfig.NanoCpus HostConfig.CpuQuota HostConfig.CpuPeriod HostConfig.PidsLimit HostConfig.RestartPolicy "
        "HostConfig.LogConfig.Type Config.Image Config.Hostname Config.Tty "
        "NetworkSettings.Ports NetworkSettings.IPAddress NetworkSettings.Networks".split(),
        same,
    ),
    "Created": same_time,
    "State.StartedAt": same_time,
    "State.FinishedAt": same_time,
}
INFO = (
    "NCPU MemTotal OperatingSystem KernelVersion Architecture CgroupVersion Name OSType Containers ContainersRunning "
    "ContainersPaused ContainersStopped Images ServerVersion Driver"
).split()
VERSION = "Os Arch KernelVersion MinAPIVersion Version ApiVersion GitCommit GoVersion".split()
COMPOSE = "Service State Health ExitCode Image Project Publishers".split()


def field(found: Any, path: str) -> Any:
    """Of ``inspect``, by its path."""
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if path == "NetworkSettings.Networks":
        keys = ("NetworkID", "EndpointID", "IPAddress", "IPPrefixLen", "Gateway", "MacAddress")
        return {name: {key: each[key] for key in keys} for name, each in (found or {}).items()}
    return found
