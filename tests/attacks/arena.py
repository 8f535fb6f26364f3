"""A running agent to attack over loopback, a good client beside the attacker, and the agent's memory."""

from __future__ import annotations

import http.client
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cgstatd.auth import store
from fakehost import FakeHost
from wire import ALL, agent

CONTAINERS = 2000
"""So that an answer (0.6 MB) is more than the kernel holds for a client that does not read."""
TIMEOUTS = ("--request-timeout", "4", "--idle-timeout", "5", "--send-timeout", "2")


@dataclass
class Arena:
    """The agent with tokens, on loopback."""

    port: int
    pid: int
    tokens: str
    secret: str
    host: FakeHost

    def new_token(self, name: str, env: int = 1) -> str:
        """A token, which the agent knows within a second."""
        secret = store.add(self.tokens, name, [env], ["containers:view"])
        time.sleep(1.1)
        return secret

    def connect(self, address: str = "127.0.0.1", receive: int = 0) -> socket.socket:
        """A connection from one of the host's many loopback addresses."""
        sock = socket.socket()
        sock.settimeout(10)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.bind((address, 0))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def ask(
        self, target: str = ALL, secret: str | None = "", address: str = "127.0.0.1", method: str = "GET", **more: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request. ``secret``: "" the good one, None: none."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret or self.secret}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=(address, 0))
        try:
            connection.putrequest(method, target, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def status(self, *arguments: str, **more: str | None) -> int:
        """The status of one request."""
        return self.ask(*arguments, **more)[0]  # type: ignore[arg-type]

    def memory(self) -> float:
        """The agent's resident memory, MiB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        assert found
        return int(found[1]) / 1024

    def descriptors(self) -> int:
        """How many sockets the agent has open."""
        folder, count = f"/proc/{self.pid}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
            except OSError:
                continue
        return count

    def good_client(self, address: str = "127.0.0.99") -> float:
        """A client with a token, from elsewhere: answered, in so many seconds."""
        began = time.monotonic()
        assert self.status(ALL, address=address) == 200
        return time.monotonic() - began


@contextmanager
def arena(folder: Path, *arguments: str, containers: int = CONTAINERS) -> Iterator[Arena]:
    """An agent over a made-up host."""
    with ExitStack() as stack:
        host = FakeHost(folder / "host")
        for number in range(containers):
            host.add(f"c{number}")
        (folder / "etc").mkdir()
        tokens = f"{folder}/etc/tokens.json"
        secret = store.add(tokens, "central", [1], ["containers:view"])
        started = stack.enter_context(
            agent("--host-root", str(host.path), "--listen", "127.0.0.1:0", "--tokens", tokens, *TIMEOUTS, *arguments)
        )
        found = Arena(started.port, started.process.pid, tokens, secret, host)
        for _ in range(0 if "--tls-cert" in arguments else 3):
            found.good_client()  # memory is measured once it is warm
        yield found


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
