"""How many events of the stream a front end loses, by containers, transport and reader; prints a table.

    python -m attacks.straddle [--rounds 40] [--only loopback,veth,…] [-n 50,230]

(README.md has its PYTHONPATH.) The real front end reads up to 64 KiB at once and drops an event whose ``event:`` line
and whole ``data:`` line it does not get from one read. The agent is real, its host made up; the veth pair (MTU 1500,
with and without segmentation offloads) connects two network namespaces and needs root. Exit code 1 where one is lost.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from certificates import authority, issue
from cgstatd.auth import store
from edges.frontend import READ_BYTES, FrontEnd
from fakehost import FakeHost
from wire import STREAM, Agent, agent

CONTAINERS = (50, 200, 230, 500, 1000, 2000)


class Reader(NamedTuple):
    """How a client reads: seconds before the first read and between reads."""

    name: str
    first: float
    between: float
    size: int = READ_BYTES


READERS = (
    Reader("64 KiB, full speed", 0, 0),
    Reader("64 KiB, sleeps 0.5 s first", 0.5, 0),
    Reader("64 KiB, sleeps 3 ms a read", 0, 0.003),
    Reader("64 KiB, sleeps both", 0.5, 0.003),
)

Connect = Callable[[], socket.socket]


def stream_round(connect: Connect, reader: Reader, secret: str) -> FrontEnd:
    """One round of the stream as the front end reads it."""
    end = FrontEnd()
    with connect() as sock:
        sock.settimeout(60)
        head = f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n"
        sock.sendall(head.encode())
        time.sleep(reader.first)
        while data := sock.recv(reader.size):
            end.read(data)
            if reader.between:
                time.sleep(reader.between)
    return end


# -- where the agent and its clients are


@dataclass(frozen=True)
class Place:
    """An agent that can be asked."""

    agent: Agent
    connect: Connect
    secret: str

    def cpu_seconds(self) -> float:
        """CPU time of the agent so far."""
        with open(f"/proc/{self.agent.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(
    stack: ExitStack, folder: Path, host: str, *arguments: str, command: tuple[str, ...] = ()
) -> tuple[Agent, str]:
    """An agent with a token."""
    tokens = f"{folder}/tokens.json"
    secret = store.add(tokens, "front", [1], ["containers:view"])
    more = ("--host-root", host, "--tokens", tokens, "--max-cpu", "0", "--freshness", "0.05", *arguments)
    found = stack.enter_context(agent(*more, command=(*command, sys.executable, "-m", "cgstatd")))
    return found, secret


@contextmanager
def loopback(folder: Path, host: str) -> Iterator[Place]:
    """Over 127.0.0.1."""
    with ExitStack() as stack:
        found, secret = started(stack, folder, host, "--listen", "127.0.0.1:0")
        yield Place(found, lambda: socket.create_connection(("127.0.0.1", found.port)), secret)


@contextmanager
def unix(folder: Path, host: str) -> Iterator[Place]:
    """Over a unix socket."""
    path = f"{folder}/agent.sock"

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return sock

    with ExitStack() as stack:
        found, secret = started(stack, folder, host, "--listen", f"unix:{path}")
        yield Place(found, connect, secret)


@contextmanager
def tls(folder: Path, host: str) -> Iterator[Place]:
    """Over TLS on loopback."""
    ca = authority(folder, "ca")
    pair = issue(folder, "server", ca, "localhost")
    context = ssl.create_default_context(cafile=ca.cert)

    def connect() -> socket.socket:
        return context.wrap_socket(socket.create_connection(("127.0.0.1", found.port)), server_hostname="localhost")

    with ExitStack() as stack:
        found, secret = started(
            stack, folder, host, "--listen", "127.0.0.1:0", "--tls-cert", pair.cert, "--tls-key", pair.key
        )
        yield Place(found, connect, secret)


_OFFLOADS = {"tx-checksumming": 0x17, "scatter-gather": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}
"""ETHTOOL_S… of linux/ethtool.h"""
_SIOCETHTOOL = 0x8946
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def in_namespace(name: str) -> Iterator[None]:
    """This thread, in a network namespace. A socket stays in the one that it was made in."""
    with open("/proc/thread-self/ns/net", "rb") as own, open(f"/run/netns/{name}", "rb") as other:
        if _libc.setns(other.fileno(), 0):
            raise OSError(ctypes.get_errno(), f"setns {name}")
        try:
            yield
        finally:
            _libc.setns(own.fileno(), 0)


def offloads_off(device: str) -> None:
    """No segment is larger on the device than on a real wire, and none are put together at its end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in _OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP8x", device.encode(), ctypes.addressof(value))
            with suppress(OSError):
                fcntl.ioctl(sock, _SIOCETHTOOL, request)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def _pair(offloads: bool) -> Iterator[tuple[str, str]]:
    """Two namespaces with an Ethernet between them: the agent's (10.99.0.1) and its clients'."""
    ours, theirs = (f"straddle{os.getpid()}{end}" for end in "ac")
    with ExitStack() as stack:
        for name in (ours, theirs):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", "veth0", "netns", ours, "type", "veth", "peer", "name", "veth0", "netns", theirs)
        for name, address in ((ours, "10.99.0.1/24"), (theirs, "10.99.0.2/24")):
            _ip("-n", name, "address", "add", address, "dev", "veth0")
            _ip("-n", name, "link", "set", "veth0", "mtu", "1500", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            if not offloads:
                with in_namespace(name):
                    offloads_off("veth0")
        yield ours, theirs


def veth(offloads: bool) -> Callable[[Path, str], AbstractContextManager[Place]]:
    """Over an Ethernet."""

    @contextmanager
    def place(folder: Path, host: str) -> Iterator[Place]:
        with ExitStack() as stack:
            ours, theirs = stack.enter_context(_pair(offloads))
            enter = ("nsenter", f"--net=/run/netns/{ours}")
            found, secret = started(stack, folder, host, "--listen", "10.99.0.1:0", command=enter)

            def connect() -> socket.socket:
                with in_namespace(theirs):
                    sock = socket.socket()
                sock.connect(("10.99.0.1", found.port))
                return sock

            yield Place(found, connect, secret)

    return place


PLACES: dict[str, Callable[[Path, str], AbstractContextManager[Place]]] = {
    "loopback": loopback,
    "unix socket": unix,
    "TLS": tls,
    "veth, MTU 1500": veth(offloads=True),
    "veth, no offloads": veth(offloads=False),
}


# -- the table


def cell(place: Place, reader: Reader, containers: int, rounds: int) -> tuple[int, int]:
    """(events lost, bytes of one round's body)."""
    lost = size = 0
    for _ in range(rounds):
        found = stream_round(place.connect, reader, place.secret)
        assert found.done and found.ended, found.sizes
        lost += containers - found.handled
        size = found.body_bytes
    return lost, size


Cells = dict[tuple[str, str, int], tuple[int, str]]
"""Transport, reader, containers -> events lost, and what is shown."""


def measured(containers: list[int], places: list[str], readers: list[Reader], rounds: int) -> Cells:
    """Each cell, told as it is known."""
    found: Cells = {}
    for n in containers:
        with tempfile.TemporaryDirectory() as folder:
            host = FakeHost(Path(folder) / "host")
            for number in range(n):
                host.add(f"front-end-{number}", memory=1_234_567_890, rx=12_345_678_901, tx=9_876_543_210,
                         read=8_765_432_109, written=23_456_789_012)  # fmt: skip
            for name in places:
                with tempfile.TemporaryDirectory() as own, ExitStack() as stack:
                    try:
                        place = stack.enter_context(PLACES[name](Path(own), str(host.path)))
                    except (OSError, subprocess.CalledProcessError) as error:
                        print(f"{name}: {error}", file=sys.stderr)
                        continue
                    for reader in readers:
                        stream_round(place.connect, reader, place.secret)
                        before = place.cpu_seconds()
                        lost, size = cell(place, reader, n, rounds)
                        cost = (place.cpu_seconds() - before) / rounds * 1000
                        found[name, reader.name, n] = lost, f"{lost} ({size / n:.0f} B, {cost:.1f} ms)"
                        print(n, name, reader.name, found[name, reader.name, n][1], file=sys.stderr)
    return found


def table(found: Cells, containers: list[int], rounds: int) -> str:
    """As Markdown."""
    lines = [f"| events lost in {rounds} rounds | {' | '.join(f'{n:,}' for n in containers)} |"]
    lines.append("|---|" + "---|" * len(containers))
    for name, reader in dict.fromkeys((name, reader) for name, reader, _ in found):
        cells = [found[name, reader, n][1] if (name, reader, n) in found else "-" for n in containers]
        lines.append(f"| {name}; {reader} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table: events lost (bytes of the body a container, CPU of the agent a round); 1 if any was."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default="", help="transports, by what their names begin with")
    parser.add_argument("--readers", default="", help="by their numbers, as in 0,3")
    parser.add_argument("--size", type=int, default=READ_BYTES, help="of a read")
    parser.add_argument("-n", default=",".join(map(str, CONTAINERS)), metavar="N[,N]")
    given = parser.parse_args()
    places = [name for name in PLACES if any(re.match(each, name) for each in given.only.split(","))]
    readers = [r._replace(size=given.size) for i, r in enumerate(READERS) if str(i) in (given.readers or "0123")]
    containers = [int(n) for n in given.n.split(",")]
    found = measured(containers, places, readers, given.rounds)
    print(table(found, containers, given.rounds))
    lost = sum(number for number, _ in found.values())
    print(f"{lost} events were lost" if lost else "no event was lost")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
