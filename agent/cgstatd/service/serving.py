"""The life of the service: listen, say so, serve until a signal, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import faulthandler
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from aiohttp import web

from ..config import Settings
from ..config.address import parse_address
from ..feed.sampling_thread import SWITCH_SECONDS
from ..sampling.sampler import Sampler
from ..web.app import make_app, make_engine_app
from ..web.guard import Guard
from ..web.server.gate import Gate
from ..web.server.limits import limits_of
from ..web.server.listener import Listener
from ..web.server.tls import Certificates
from .background import Background
from .binding import bind_address, bind_docker_socket
from .composition import Composition
from .systemd import BadSocket, Notifier, passed_sockets
from .who_may_ask import CannotServe, certificates, make_guard

log = logging.getLogger(__name__)
_SHUTDOWN_SECONDS = 3.0


def _sockets(settings: Settings, opened: contextlib.AsyncExitStack) -> list[socket.socket]:
    """Those that systemd passed, else those that the settings name. Raises CannotServe, BadSetting."""
    try:
        passed = [opened.enter_context(sock) for sock in passed_sockets()]
    except BadSocket as error:
        raise CannotServe(str(error)) from error
    if passed:
        if settings.listen != Settings().listen:
            log.warning("listening where systemd's socket unit says; not used: listen=%s", ",".join(settings.listen))
        return passed
    return [opened.enter_context(sock) for text in settings.listen for sock in bind_address(parse_address(text))]


async def serve(sampler: Sampler, settings: Settings, load: Callable[[], Settings]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again, by ``load``. Raises CannotServe,
    BadSetting."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # before it can be reloaded there is nothing to reload
    async with contextlib.AsyncExitStack() as opened:
        opened.callback(sampler.close)
        tls = certificates(settings)
        sockets = _sockets(settings, opened)
        guard = make_guard(settings, sockets)
        agent = Composition(sampler, settings, guard, Gate(limits_of(settings)), tls)
        runner = _runner(make_app(agent.parts, guard))
        runner.app.on_shutdown.append(lambda _: agent.stop())  # no connection is accepted any more, some still wait
        background: Background | None = None
        try:
            await runner.setup()
            agent.start()
            engine = await _engine_listener(agent, settings, opened)
            where = await _listen(runner, sockets, agent.gate, tls)
            if engine is not None:
                await engine.start()
                where += f" {engine.name} (Engine API)"
            log.info("serving %s env=%d cgroups=%s", where, settings.env_id, sampler.hierarchy.mode)
            await agent.call_out(settings)
            notifier = Notifier()
            if notifier.watchdog_seconds:
                faulthandler.enable()  # when the watchdog aborts, the log has where each thread was
            background = Background(agent, notifier, settings, f"serving {where}")
            loop.add_signal_handler(signal.SIGHUP, background.reload, load)
            background.start()
            _settle()
            await stop.wait()
            log.info("stopping")
        finally:
            if background is not None:
                background.stop()
            await runner.cleanup()


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        handler_cancellation=True,  # else a stream without news keeps its place after its client has gone
    )


def _settle() -> None:
    """What start-up made (modules, mostly) lives as long as the process: the collector need not visit it each time.

    Passes make many short-lived tuples that no cycle holds; to look for cycles every 700 of them finds nothing. Old
    objects in a cycle (asyncio's transport refers to itself) must not wait for half a million new ones either: they
    hold the memory around them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 5, 2)
    gc.enable()
    sys.setswitchinterval(SWITCH_SECONDS)


async def _engine_listener(
    agent: Composition, settings: Settings, opened: contextlib.AsyncExitStack
) -> Listener | None:
    """The Engine API on a socket of its own, whose mode and group say who may ask. Raises BadSetting."""
    path = settings.docker_socket
    if not path:
        return None
    sock = opened.enter_context(bind_docker_socket(path, settings.docker_socket_mode, settings.docker_socket_group))
    limits = limits_of(settings)
    # Its clients are users; each container of a `docker stats` is a connection and a stream.
    limits = dataclasses.replace(
        limits,
        connections_per_address=limits.connections,
        streams=limits.connections,
        streams_per_client=limits.connections,
    )
    runner = _runner(make_engine_app(agent.parts, Guard(settings.env_id, limits=limits)))
    opened.push_async_callback(runner.cleanup)
    await runner.setup()
    return Listener(runner, sock, Gate(limits, account=agent.gate.account))


async def _listen(runner: web.AppRunner, sockets: Sequence[socket.socket], gate: Gate, tls: Certificates | None) -> str:
    """Accept on each; the addresses, in words."""
    listeners = [Listener(runner, sock, gate, None if sock.family == socket.AF_UNIX else tls) for sock in sockets]
    for listener in listeners:
        await listener.start()
    return " ".join(listener.name for listener in listeners)
