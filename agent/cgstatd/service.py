"""The life of the service: listen, say so, serve until a signal, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from .feed import Feed
from .sampler import Sampler
from .web.app import make_app

log = logging.getLogger(__name__)
DEFAULT_LISTEN = "127.0.0.1:9713"
_SHUTDOWN_SECONDS = 3.0
_BACKLOG = 512


class CannotServe(Exception):
    """The service cannot start; one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"http://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """``127.0.0.1:9713``, ``[::1]:9713``, ``localhost:9713`` or ``unix:/run/cgstatd.sock``. Raises CannotServe."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise CannotServe(f"--listen {text}: a unix socket needs an absolute path, as in unix:/run/cgstatd.sock")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise CannotServe(
            f"--listen {text}: expected HOST:PORT (port 0 to 65535) or unix:/PATH, as in {DEFAULT_LISTEN}"
        )
    return Address(host=host, port=int(port))


def require_private(address: Address) -> None:
    """Refuse to be reachable from the network without authentication. Raises CannotServe."""
    if address.path:
        return
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CannotServe(f"--listen {address.host}:{address.port}: {error.strerror}") from error
    for *_, where in found:
        if not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback:
            raise CannotServe(
                f"refusing to listen on {address.host}:{address.port}: it can be reached from the network and this "
                "version has no authentication of its own; listen on 127.0.0.1 or on unix:/PATH and let a reverse "
                "proxy that authenticates its clients forward to it"
            )


async def _listen(runner: web.AppRunner, address: Address) -> Address:
    site: web.BaseSite
    if address.path:
        with contextlib.suppress(FileNotFoundError):
            if not _answers(address.path):
                os.unlink(address.path)
        site = web.UnixSite(runner, address.path, backlog=_BACKLOG)
    else:
        site = web.TCPSite(runner, address.host, address.port, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:
        raise CannotServe(f"cannot listen on {address}: {error.strerror or error}") from error
    bound = runner.addresses[-1]
    return address if address.path else Address(host=address.host, port=bound[1])


def _answers(path: str) -> bool:
    """Whether somebody serves a unix socket; a stale one is replaced. Raises FileNotFoundError."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
    return True


async def serve(
    sampler: Sampler, addresses: Sequence[Address], env_id: int, *, freshness: float, baseline: float
) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotServe."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    feed = Feed(sampler, freshness_seconds=freshness, baseline_seconds=baseline)
    runner = web.AppRunner(make_app(feed, env_id), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    feed.start()
    try:
        await runner.setup()
        bound = [await _listen(runner, address) for address in addresses]
        log.info("serving %s env=%d cgroups=%s", " ".join(map(str, bound)), env_id, sampler.hierarchy.mode)
        await stop.wait()
        log.info("stopping")
    finally:
        await runner.cleanup()
        feed.stop()
        sampler.close()
