"""The client beside an attack: a connection that is ended while it asks is a failure, one that it left idle is not."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from attacks.arena import Arena
from attacks.bystander import Bystander


class _OnceAConnection(http.server.BaseHTTPRequestHandler):
    """Answers one request, promises to answer more, and closes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # http.server's name
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _SeesTheEnd(http.client.HTTPConnection):
    """Is told that the connection has ended when it sends its second request, not when it reads the answer."""

    requests = 0

    def request(self, *args: Any, **more: Any) -> None:
        self.requests += 1
        if self.requests == 2:
            raise BrokenPipeError
        super().request(*args, **more)


class _Asked:
    """As much of an arena as a bystander asks for."""

    good, secret = "a", "secret"

    def __init__(self, port: int, kind: type[http.client.HTTPConnection]) -> None:
        self._port, self._kind = port, kind

    def client(self, _address: str) -> http.client.HTTPConnection:
        return self._kind("127.0.0.1", self._port)

    def memory(self) -> float:
        return 0.0


@contextmanager
def arena(kind: type[http.client.HTTPConnection]) -> Iterator[Arena]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OnceAConnection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield cast(Arena, _Asked(server.server_port, kind))
        finally:
            server.shutdown()


@pytest.mark.parametrize("kind", [http.client.HTTPConnection, _SeesTheEnd])
@pytest.mark.parametrize(("idle_seconds", "failures"), [(3600.0, 1), (0.0, 0)])
def test_only_what_it_left_idle_may_be_ended(
    kind: type[http.client.HTTPConnection], idle_seconds: float, failures: int
) -> None:
    with arena(kind) as asked:
        bystander = Bystander(asked, idle_seconds)
        bystander._ask()
        bystander._ask()
        bystander._connection.close()
    assert (len(bystander.failures), bystander.answered) == (failures, 2 - failures)
