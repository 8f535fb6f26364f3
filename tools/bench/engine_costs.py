"""What the Engine API costs, beside the engine's own, on the containers of a dockerd that runs.

``python tools/bench/engine_costs.py /run/docker.sock /run/cgstatd/docker.sock http://127.0.0.1:9713``

Three things are measured, each with its ratio: ``docker stats --no-stream`` (wall clock and the CPU time of all
processes: the command line, dockerd, containerd, shims; or the agent); the same without the command line, whose own
half second is its ticker's: a client that asks for the list and then for every container's stats at once; and the
agent's CPU time a second with clients that stay: one of ``follow``, one stream of the Engine API, twenty of them.
Exit code 1: above a tenth of the engine's own (without the command line), or above the bounds of streams.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from engines import children_ns, docker_get, docker_pids
from measure import cpu_nsec

ROUNDS = 7
STREAM_SECONDS = 10
MOST_PART = 0.1
"""Of what the engine takes."""
MOST_STREAMS = 2.0
"""Times one stream, that twenty cost."""


class Cost(NamedTuple):
    """Milliseconds."""

    wall: float
    cpu: float


def measured(pids: list[int], ask: Callable[[], object]) -> Cost:
    """The median of some rounds."""
    found = []
    for _ in range(ROUNDS):
        cpu, wall = cpu_nsec(pids) + children_ns(), time.perf_counter_ns()
        ask()
        wall = time.perf_counter_ns() - wall
        found.append((wall, cpu_nsec(pids) + children_ns() - cpu))
    return Cost(*(statistics.median(each) / 1e6 for each in zip(*found, strict=True)))


def peer(path: str) -> int:
    """The process that serves a unix socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        pid: int = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return pid


async def _get(path: str, target: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return answer


async def _all_at_once(path: str, ids: list[str]) -> None:
    await _get(path, "/containers/json")
    await asyncio.gather(*(_get(path, f"/containers/{each}/stats?stream=0") for each in ids))


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _streams(pid: int, connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
                   target: str, count: int) -> float:  # fmt: skip
    """CPU milliseconds a second of the agent, with so many that stay."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            reader, writer = await connect()
            stack.callback(writer.close)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            task = asyncio.ensure_future(_drain(reader))
            stack.callback(task.cancel)
        await asyncio.sleep(2.0)
        cpu, began = cpu_nsec([pid]), time.monotonic()
        await asyncio.sleep(STREAM_SECONDS)
        return (cpu_nsec([pid]) - cpu) / 1e6 / (time.monotonic() - began)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", help="its socket")
    parser.add_argument("agent", help="its docker socket")
    parser.add_argument("url", help="the agent's own address, for follow")
    arguments = parser.parse_args()
    ids = [each["Id"] for each in docker_get(arguments.engine, "/containers/json")]
    pids = {arguments.engine: docker_pids(arguments.engine, ids), arguments.agent: [peer(arguments.agent)]}
    print(f"{len(ids)} containers; milliseconds\n\n| | engine's wall | CPU | agent's wall | CPU | wall | CPU |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    bad = False
    ways: dict[str, Callable[[str], object]] = {
        "`docker stats --no-stream`": lambda path: subprocess.run(
            ["docker", "-H", f"unix://{path}", "stats", "--no-stream", *ids], check=True, capture_output=True
        ),
        "the list, then all at once": lambda path: asyncio.run(_all_at_once(path, ids)),
    }
    for name, ask in ways.items():
        theirs, ours = (measured(pids[path], partial(ask, path)) for path in (arguments.engine, arguments.agent))
        parts = [ours.wall / theirs.wall, ours.cpu / theirs.cpu]
        bad |= "all at once" in name and max(parts) > MOST_PART
        numbers = " | ".join(f"{each:,.0f}" for each in (*theirs, *ours))
        print(f"| {name} | {numbers} | {' | '.join(f'{part:.3f}' for part in parts)} |", flush=True)
    address = urlsplit(arguments.url)
    pid = pids[arguments.agent][0]

    def over_tcp() -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_connection(address.hostname, address.port)

    print("\n| clients that stay | agent's CPU ms a second |\n|---|--:|")
    found = {}
    stats = f"/containers/{ids[0]}/stats"
    for name, target, count in (("none", "", 0), ("one stream", stats, 1), ("twenty streams", stats, 20),
                                ("one of follow", "/api/containers/stats/follow?interval=1", 1)):  # fmt: skip
        found[name] = asyncio.run(_streams(pid, over_tcp, target, count))
        print(f"| {name} | {found[name]:.2f} |", flush=True)
    one, twenty = (found[name] for name in ("one stream", "twenty streams"))
    print(f"\none stream: {one / found['one of follow']:.2f} of follow; twenty streams: {twenty / one:.2f} times one")
    return 1 if bad or one > found["one of follow"] or twenty > MOST_STREAMS * one else 0


if __name__ == "__main__":
    sys.exit(main())
