"""Compares a running agent with Docker's own figures, container by container, in the same instant.

    python tools/engines/compare_docker.py http://127.0.0.1:9713 /run/docker.sock [--seconds 2]

Start the agent with ``--baseline 0 --freshness 0 --max-cpu 0``, so that its CPU window is the one between the two
rounds here. The engine is asked (one-shot, the raw counters) directly before and directly after the agent: a byte
figure that moves is right when the agent's lies between, and then differs by 0. CPU is the engine's counters over the
same two rounds, by docker/cli's formula. Prints a table of differences; exit code 1 where one is larger than allowed.
Only this tool ever asks an engine; the agent never does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
import time
import urllib.request
from typing import Any

FIGURES = ("memoryUsage", "memoryLimit", "networkRx", "networkTx", "blockRead", "blockWrite")
ALLOWED_CPU_POINTS = 2.0
PAGE = 4096


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def engine(sock: str, path: str) -> Any:
    """One answer of the engine's API."""
    connection = Unix(sock)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def figures(raw: dict[str, Any]) -> dict[str, int]:
    """The engine's raw counters as docker stats computes them."""
    memory = raw.get("memory_stats", {})
    usage, stats = memory.get("usage", 0), memory.get("stats", {})
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    networks = (raw.get("networks") or {}).values()
    blocks = raw.get("blkio_stats", {}).get("io_service_bytes_recursive") or []
    return {
        "memoryUsage": usage - cache if 0 < cache < usage else usage,
        "memoryLimit": memory.get("limit", 0),
        "networkRx": sum(n["rx_bytes"] for n in networks),
        "networkTx": sum(n["tx_bytes"] for n in networks),
        "blockRead": sum(b["value"] for b in blocks if b["op"].lower() == "read"),
        "blockWrite": sum(b["value"] for b in blocks if b["op"].lower() == "write"),
    }


def cpu_percent(first: dict[str, Any], second: dict[str, Any]) -> float:
    """docker/cli's formula over two one-shot answers."""
    a, b = first["cpu_stats"], second["cpu_stats"]
    system = b["system_cpu_usage"] - a["system_cpu_usage"]
    used = b["cpu_usage"]["total_usage"] - a["cpu_usage"]["total_usage"]
    return used / system * b["online_cpus"] * 100 if system else 0.0


def outside(value: int, low: int, high: int) -> int:
    """How far a value is from the range between two others."""
    low, high = min(low, high), max(low, high)
    return max(low - value, value - high, 0)


def agent(url: str, container: str) -> Any:
    """The agent's answer."""
    with urllib.request.urlopen(f"{url}/api/containers/{container}/stats", timeout=30) as answer:
        return json.load(answer)


def main() -> int:
    """Compare every running container."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("socket")
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    listing = engine(arguments.socket, "/containers/json")
    names = {c["Id"]: c["Names"][0].lstrip("/") for c in listing}
    one = "/containers/{}/stats?stream=false&one-shot=true"
    firsts = {}
    for cid in names:
        firsts[cid] = engine(arguments.socket, one.format(cid))
        agent(arguments.url, cid)
    time.sleep(arguments.seconds)
    header = " ".join(f"{f:>12}" for f in FIGURES)
    print(f"{'container':16} {'cpu engine':>10} {'cpu agent':>10} {'diff':>6}  {header}")
    worst = False
    for cid, name in sorted(names.items(), key=lambda item: item[1]):
        before = engine(arguments.socket, one.format(cid))
        ours = agent(arguments.url, cid)
        after = engine(arguments.socket, one.format(cid))
        theirs, ours_cpu = cpu_percent(firsts[cid], after), ours["cpuPercent"]
        low, high = figures(before), figures(after)
        differences = {f: outside(ours[f], low[f], high[f]) for f in FIGURES}
        by_name = agent(arguments.url, name)["memoryLimit"] == ours["memoryLimit"]
        bad = abs(theirs - ours_cpu) > ALLOWED_CPU_POINTS or not by_name
        bad |= any(d > (PAGE if f == "memoryUsage" else 0) for f, d in differences.items())
        worst |= bad
        row = " ".join(f"{differences[f]:>12}" for f in FIGURES)
        print(f"{name:16} {theirs:>10.2f} {ours_cpu:>10.2f} {ours_cpu - theirs:>6.2f}  {row}{'  <-- ' if bad else ''}")
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
