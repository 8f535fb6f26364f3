"""What may hang, what is asked, and what has to be answered meanwhile: a table that knows nothing of the agent's code.

Three containers, of which the first has a file that hangs: no call that concerns it comes back, neither stat nor open
nor read. Of each file and each route the same is expected: the others are answered, rightly, however often is asked;
one thread is held; the file is named; and all is as before once it answers. test_hangs.py holds that in process,
tools/attacks/hangs.py against the real program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

HUNG, OTHERS = "c0", ("c1", "c2")
MEMORY, PEAK = 3 << 20, 4 << 20
_PRESSURE = "".join(f"{kind} avg10=0.00 avg60=0.00 avg300=0.00 total=7\n" for kind in ("some", "full"))
FILES = {
    "{cgroup}/memory.peak": f"{PEAK}\n",
    "{cgroup}/memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
    "{cgroup}/memory.swap.current": "0\n",
    "{cgroup}/cpu.max": "max 100000\n",
    "{cgroup}/cpu.weight": "100\n",
    "{cgroup}/cpu.pressure": _PRESSURE,
    "{cgroup}/memory.pressure": _PRESSURE,
    "{cgroup}/io.pressure": _PRESSURE,
    "{process}/stat": "7 (x) S 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 1 0 500 0 0\n",
    "{process}/status": "Name:\tx\nState:\tS (sleeping)\nVmRSS:\t8 kB\n",
    "{state}/{id}-json.log": "x",
    "proc/stat": "cpu  10 0 10 1000 0 0 0 0 0 0\ncpu0 10 0 10 1000 0 0 0 0 0 0\nbtime 1700000000\n",
    "proc/uptime": "1000.0 900.0\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 1000\n",
    "proc/sys/kernel/hostname": "hangs\n",
    "proc/sys/kernel/osrelease": "6.12.0\n",
}
"""What a host and its containers have beside what tests make up anyway: with it each route reads all that it can."""


class Place(NamedTuple):
    """A file that hangs."""

    name: str
    path: str
    """Below the host's root; {cgroup}, {process} and {state} are the container's directories."""
    met_by: str
    """A route that meets it first."""
    of_host: bool = False
    """It is the host's: no container is hung."""
    fresh_seconds: float = 0.6
    """After this time no route answers from what was read of it before."""
    counted: bool = True
    """Whether the exporter counts the hung reading of it."""
    hangs_first: bool = False
    """It is looked at so seldom that it has to hang from the first look on."""


PLACES = (
    Place("memory.current", "{cgroup}/memory.current", "array"),
    Place("net/dev", "{process}/net/dev", "follow"),
    Place("/proc/<pid>/status", "{process}/status", "processes", fresh_seconds=1.1),
    Place("io.stat", "{cgroup}/io.stat", "metrics"),
    Place("memory.peak", "{cgroup}/memory.peak", "follow"),
    Place("memory.events", "{cgroup}/memory.events", "follow"),
    Place("pids.current", "{cgroup}/pids.current", "list"),
    Place("cpu.pressure", "{cgroup}/cpu.pressure", "metrics"),
    Place("cgroup.procs", "{cgroup}/cgroup.procs", "metrics"),
    Place("/proc/stat", "proc/stat", "host", of_host=True),
    Place("config.v2.json", "{state}/config.v2.json", "list", fresh_seconds=4.2, counted=False),
    Place("the log", "{state}/{id}-json.log", "metrics", counted=False, hangs_first=True),
)
Told = dict[str, bool]
"""Container -> whether an answer has its figures rightly."""


def _in_stats(entries: list[dict[str, Any]]) -> Told:
    return {str(entry["name"]): entry["memoryRaw"] == MEMORY for entry in entries}


def _array(body: bytes) -> Told:
    return _in_stats(json.loads(body))


def _events(body: bytes) -> Told:
    return _in_stats([json.loads(data) for data in re.findall(rb"event: stat\ndata: (\{.*\})\n", body)])


def _streamed(body: bytes) -> bool:
    return set(OTHERS) <= _events(body).keys()


def _followed(body: bytes) -> Told:
    """The last round; the first may be one that was kept."""
    rounds = body.split(b"event: round")
    found = re.findall(rb"event: stat\n(?:id: .*\n)?data: (\{.*\})\n", rounds[-2] if len(rounds) > 1 else b"")
    return _in_stats([json.loads(data) for data in found])


def _three_rounds(body: bytes) -> bool:
    return body.count(b"event: round") >= 3


def _listed(body: bytes) -> Told:
    return {entry["name"]: entry["pids"] == 1 for entry in json.loads(body)}


def _one(body: bytes) -> Told:
    return {OTHERS[0]: json.loads(body)["memoryRaw"] == MEMORY}


def _detail(body: bytes) -> Told:
    found = json.loads(body)
    memory = found["memory"]
    right = (memory["usageBytes"]["value"], memory["peakBytes"]["value"]) == (MEMORY, PEAK)
    return {found["container"]["name"]: right}


def _processes(body: bytes) -> Told:
    found = json.loads(body)
    return {found["name"]: [each["name"] for each in found["processes"]] == ["x"]}


def _metrics(body: bytes) -> Told:
    found = re.findall(rb'container_memory_max_usage_bytes\{[^}]*name="([^"]*)"[^}]*\} (\d+)', body)
    return {name.decode(): int(value) == PEAK for name, value in found}


class Route(NamedTuple):
    """How it is asked, and what its answer tells."""

    target: str
    """{id}: of the first of the others, or of the hung one."""
    has: Callable[[bytes], Told] | None = None
    enough: Callable[[bytes], bool] | None = None
    """Of a stream: what is waited for. It stays open, or goes on for the hung one."""
    those: tuple[str, ...] = OTHERS
    """Whom the answer has to have."""

    @property
    def of_one(self) -> bool:
        """Whether it is about one container."""
        return "{id}" in self.target


ROUTES = {
    "one": Route("/api/containers/{id}/stats", _one, None, OTHERS[:1]),
    "array": Route("/api/containers/stats", _array),
    "stream": Route("/api/containers/stats/stream", _events, _streamed),
    "follow": Route("/api/containers/stats/follow?interval=0.25", _followed, _three_rounds),
    "list": Route("/api/containers", _listed),
    "detail": Route("/api/containers/{id}/detail", _detail, None, OTHERS[:1]),
    "processes": Route("/api/containers/{id}/processes", _processes, None, OTHERS[:1]),
    "host": Route("/api/host"),
    "metrics": Route("/metrics", _metrics),
    "healthz": Route("/healthz"),
    "environment": Route("/api/environments/1"),
    "page": Route("/"),
}
"""The page asks follow, list, detail, processes and host; what it asks first is itself and the environment."""


def wrong(route: Route, status: int, body: bytes, *more: str) -> list[str]:
    """What an answer says that it must not, or not what it must; ``more``: containers that it has to have, too."""
    if status != 200:
        return [f"status {status}"]
    found = {} if route.has is None else route.has(body)
    return [] if route.has is None else [f"without {name}" for name in (*more, *route.those) if not found.get(name)]
