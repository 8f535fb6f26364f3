"""The life of the service: listen, say so, serve until a signal, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import stat

from aiohttp import web

from .address import Address, parse_address
from .config import Settings
from .exposure import CannotServe, certificates, make_guard
from .feed import Feed
from .sampler import Sampler
from .web.app import make_app
from .web.limits import Gate, limits_of
from .web.listener import Listener, bind, bind_unix

log = logging.getLogger(__name__)
_SHUTDOWN_SECONDS = 3.0


def _bind(address: Address) -> list[socket.socket]:
    try:
        if not address.path:
            return bind(address.host, address.port)
        _remove_stale(address.path)
        return [bind_unix(address.path)]
    except OSError as error:
        raise CannotServe(f"cannot listen on {address}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise CannotServe(f"cannot listen on {address}: {address.host[:80]!r} is no host name") from error


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody serves any more. Anything else at the path stays, and binding says that it is in use.

    connect(2) says ECONNREFUSED of a regular file too.
    """
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            probe.setblocking(False)  # a server with a full backlog would keep it waiting
            if probe.connect_ex(path) == errno.ECONNREFUSED:
                os.unlink(path)


async def serve(sampler: Sampler, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotServe."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as opened:
        opened.callback(sampler.close)
        tls = certificates(settings)
        sockets: list[socket.socket] = []
        for text in settings.listen:
            for sock in _bind(parse_address(text)):
                sockets.append(opened.enter_context(sock))
        guard = make_guard(settings, sockets)
        feed = Feed(sampler, freshness_seconds=settings.freshness, baseline_seconds=settings.baseline)
        app = make_app(feed, settings.env_id, guard)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        gate = Gate(limits_of(settings))
        feed.start()
        try:
            await runner.setup()
            listeners = [
                Listener(runner, sock, gate, None if sock.family == socket.AF_UNIX else tls) for sock in sockets
            ]
            for listener in listeners:
                await listener.start()
            where = " ".join(listener.name for listener in listeners)
            log.info("serving %s env=%d cgroups=%s", where, settings.env_id, sampler.hierarchy.mode)
            await stop.wait()
            log.info("stopping")
        finally:
            await runner.cleanup()
            feed.stop()
