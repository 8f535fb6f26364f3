"""A running agent to attack, its log and its memory."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from weakref import WeakSet

import pytest

from cgstatd.auth import store
from fakehost import FakeHost
from wire import ALL, COMMAND, agent

CONTAINERS = 2000
"""So that an answer (0.6 MB) is more than the kernel holds for a client that does not read."""
SEND_SECONDS = 2
"""No client that does not read is cut earlier."""
IDLE_SECONDS = 5
"""A client that has not asked for so long has its connection ended."""
TIMEOUTS = ("--request-timeout", "4", "--idle-timeout", f"{IDLE_SECONDS}", "--send-timeout", f"{SEND_SECONDS}")
VIEW, METRICS = "containers:view", "metrics:view"
REQUEST = b"GET " + ALL.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"


class Work(NamedTuple):
    """Calls that read, and the bytes that they brought (/proc/PID/io: syscr, rchar): equal on every machine."""

    calls: int
    octets: int

    def within(self, calls: int, octets: int) -> Work:
        """Itself; an error where it is more."""
        assert self.calls <= calls and self.octets <= octets, f"{self}, at most {calls} calls and {octets} bytes"
        return self

    def __str__(self) -> str:
        return f"{self.calls} reads of {self.octets / 1024:.0f} KiB"


@dataclass
class Arena:
    """The agent with tokens, on loopback."""

    port: int
    pid: int
    tokens: str
    secret: str
    folder: Path
    good: str
    """A container that is not attacked: whose figures a client beside the attacker asks for."""
    log: list[str] = field(default_factory=list)
    """What the agent has said."""
    tls: ssl.SSLContext | None = None
    """With what a good client connects."""
    _sockets: WeakSet[socket.socket] = field(default_factory=WeakSet)

    def new_token(self, name: str, env: int = 1) -> str:
        """A token, which the agent knows within a second."""
        secret = store.add(self.tokens, name, [env], [VIEW])
        time.sleep(1.1)
        return secret

    def connect(self, address: str = "127.0.0.1", receive: int = 0) -> socket.socket:
        """A connection from one of the host's many loopback addresses."""
        sock = socket.socket()
        self._sockets.add(sock)
        sock.settimeout(60)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.bind((address, 0))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def hang_up(self) -> None:
        """Close the connections that an attack has left open: one that failed does not come so far."""
        for sock in list(self._sockets):
            sock.close()

    def asking(self, target: str, address: str = "127.0.0.1", more: str = "", receive: int = 0) -> socket.socket:
        """A connection that has asked, with the token; its answer is not read. ``more``: further header lines."""
        sock = self.connect(address, receive)
        token = f"Authorization: Bearer {self.secret}\r\n"
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{token}{more}\r\n".encode())
        return sock

    def client(self, address: str = "127.0.0.1") -> http.client.HTTPConnection:
        """A connection of a client that means well."""
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, source_address=(address, 0))
        return http.client.HTTPSConnection("127.0.0.1", self.port, source_address=(address, 0), context=self.tls)

    def ask(
        self, target: str = ALL, secret: str | None = "", address: str = "127.0.0.1", method: str = "GET", **more: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request. ``secret``: "" the good one, None: none."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret or self.secret}"
        connection = self.client(address)
        try:
            connection.putrequest(method, target, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def logged(self, *words: str) -> bool:
        """Whether a line of the log has all these words, or gets them: a thread reads it, behind the agent."""
        until = time.monotonic() + 20
        while not any(all(each in line for each in words) for line in list(self.log)):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def work(self) -> Work:
        """What the agent has had the kernel read so far, sockets included."""
        lines = Path(f"/proc/{self.pid}/io").read_text("ascii").splitlines()
        found = {name: int(value) for name, value in (line.split(": ") for line in lines)}
        return Work(found["syscr"], found["rchar"])

    def work_of(self, act: Callable[[], object]) -> Work:
        """What the agent reads while something is done, what it reads anyway included (its history's rounds)."""
        before = self.work()
        act()
        after = self.work()
        return Work(after.calls - before.calls, after.octets - before.octets)

    def ask_counted(self, target: str) -> tuple[tuple[int, dict[str, str], bytes], Work]:
        """Status, headers and body of one request, and what the agent read for it and meanwhile."""
        answers: list[tuple[int, dict[str, str], bytes]] = []
        work = self.work_of(lambda: answers.append(self.ask(target)))
        return answers[0], work

    def memory(self, which: str = "VmRSS") -> float:
        """The agent's resident memory, MiB."""
        found = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text("ascii"))
        assert found
        return int(found[1]) / 1024

    def most_memory(self) -> float:
        """The most that it ever had, MiB."""
        return self.memory("VmHWM")

    def descriptors(self) -> int:
        """How many sockets the agent has open."""
        folder, count = f"/proc/{self.pid}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
            except OSError:
                continue
        return count

    def warm(self) -> None:
        """Memory is measured once the agent has listed and read everything a few times.

        The first listing of many containers may take longer than the agent waits for it (503) on a busy machine.
        """
        while self.ask(ALL)[0] == 503:
            time.sleep(0.1)
        for _ in range(3):
            self.good_client()

    def good_client(self, address: str = "127.0.0.98") -> float:
        """A newcomer with a token, from elsewhere: answered, in so many seconds."""
        began = time.monotonic()
        status, _, body = self.ask(ALL, address=address)
        assert status == 200, body[:200]
        return time.monotonic() - began


@dataclass
class TreeArena(Arena):
    """An agent over a made-up host."""

    host: FakeHost = field(kw_only=True)


Attack = Callable[[Any], str]
"""It is played on the arena of its stage."""


class Stage(NamedTuple):
    """Attacks on one agent, one after the other. ``open`` may skip, saying why."""

    name: str
    open: Callable[[Path], AbstractContextManager[Arena]]
    attacks: tuple[Attack, ...]


class Running(NamedTuple):
    """What every arena has in common."""

    port: int
    pid: int
    tokens: str
    secret: str
    folder: Path
    log: list[str]


@contextmanager
def running(folder: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> Iterator[Running]:
    """An agent with one token, whose log is read as it comes. ``prefix``: a command that becomes the agent."""
    with ExitStack() as stack:
        (folder / "etc").mkdir()
        tokens = f"{folder}/etc/tokens.json"
        secret = store.add(tokens, "central", [1], [VIEW, METRICS])
        given = ("--listen", "127.0.0.1:0", "--tokens", tokens, *TIMEOUTS, *arguments)
        started = stack.enter_context(agent(*given, command=(*prefix, *COMMAND)))
        log: list[str] = []
        assert started.process.stderr is not None
        threading.Thread(target=_drain, args=(started.process.stderr, log), daemon=True).start()
        yield Running(started.port, started.process.pid, tokens, secret, folder, log)


def _drain(stream: IO[str], log: list[str]) -> None:
    with suppress(ValueError):  # closed at the end
        log.extend(stream)


@contextmanager
def arena(
    folder: Path, *arguments: str, containers: int = CONTAINERS, tls: ssl.SSLContext | None = None
) -> Iterator[TreeArena]:
    """An agent over a made-up host with containers c0, c1, …"""
    host = FakeHost(folder / "host")
    for number in range(containers):
        host.add(f"c{number}")
    with running(folder, "--host-root", str(host.path), *arguments) as found:
        port, pid, tokens, secret, _, log = found
        made = TreeArena(port, pid, tokens, secret, folder, "", log, tls, host=host)
        made.warm()
        made.good = json.loads(made.ask(ALL)[2])[-1]["id"]
        yield made


def often(times: int, least: int = 1) -> int:
    """So many repetitions at length (where the environment has NIGHTLY); a fiftieth in `make test`, but ``least``."""
    return times if "NIGHTLY" in os.environ else max(least, times // 50)


def require_root() -> None:
    """Skip, with the reason, where nothing can be made to belong to somebody else."""
    if os.geteuid() != 0:
        pytest.skip("files and cgroups of several owners need root")


def tally(statuses: Counter[int]) -> str:
    """``3 x 401, 2 x cut``."""
    return ", ".join(f"{count} x {status or 'cut'}" for status, count in sorted(statuses.items()))


def received(sock: socket.socket, most: int = 65536) -> bytes:
    """What the other side has sent until it closes (or resets, or says nothing for long)."""
    data = b""
    try:
        while len(data) < most and (more := sock.recv(most)):
            data += more
    except OSError:
        pass
    return data


def pushed(sock: socket.socket, chunk: bytes, most: int) -> int:
    """How many bytes the other side takes before it cuts the connection."""
    sent = 0
    try:
        while sent < most:
            sock.sendall(chunk)
            sent += len(chunk)
    except OSError:
        pass
    return sent
