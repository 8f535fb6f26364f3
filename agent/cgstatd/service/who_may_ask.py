"""From configuration and listening sockets to who may ask: all that the network can reach demands credentials."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

from ..auth import store
from ..auth.keyring import Keyring, default_path
from ..auth.tokens import BadTokens, Token
from ..config import BadSetting, Settings
from ..web.guard import Guard
from ..web.security.callers import Callers
from ..web.security.origin import Hosts, Origins
from ..web.server.limits import limits_of
from ..web.server.peer import is_private
from ..web.server.tls import BadCertificate, Certificates

log = logging.getLogger(__name__)


class CannotServe(Exception):
    """The service cannot start; one sentence that says what to do."""


def certificates(settings: Settings) -> Certificates | None:
    """What the listeners show and demand; None: no TLS. Raises BadSetting."""
    if not settings.tls_cert:
        return None
    try:
        return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except BadCertificate as error:
        raise BadSetting(error.key, str(error)) from error


def make_guard(settings: Settings, sockets: Sequence[socket.socket]) -> Guard:
    """The checks that these sockets need. Raises CannotServe, BadSetting."""
    path = settings.tokens or default_path()
    tokens = _tokens(path, named=bool(settings.tokens))
    if tokens and not any(token.holds(settings.env_id) for token in tokens):
        log.warning("no token in %s is for environment %d: every request will be 403", path, settings.env_id)
    reachable = [sock for sock in sockets if not is_private(sock)]
    if reachable:
        if not tokens and not settings.tls_client_ca:
            raise CannotServe(_refusal(_name(reachable[0]), path))
        if not settings.tls_cert:
            log.warning(
                "listening on %s without TLS: tokens can be read on the way; set tls_cert and tls_key, or let only a "
                "tunnel or a TLS proxy reach it",
                _name(reachable[0]),
            )
    callers = Callers(
        Keyring(path),
        certificates=bool(settings.tls_client_ca),
        names=settings.tls_client_names,
        required=bool(reachable),
    )
    return Guard(
        settings.env_id,
        callers,
        hosts=Hosts(settings.allowed_hosts),
        origins=Origins(settings.allowed_origins),
        limits=limits_of(settings),
    )


def renew_guard(guard: Guard, settings: Settings) -> None:
    """Take over who may ask, and how much. Where others may ask now, all open streams are cut, and each client asks
    again."""
    hosts, origins = Hosts(settings.allowed_hosts), Origins(settings.allowed_origins)
    others = guard.callers.admit(settings.tls_client_names)
    if others or hosts != guard.hosts or origins != guard.origins:
        guard.hosts, guard.origins = hosts, origins
        guard.streams.cut()
    guard.streams.limits = limits_of(settings)


def _tokens(path: str, *, named: bool) -> tuple[Token, ...]:
    """The tokens that there are.

    A file that cannot be used, or that was named and is not there, ends the start: with a mistyped name the agent would
    answer every process of the host. Raises CannotServe, BadSetting.
    """
    try:
        return store.read(path)[0].tokens
    except FileNotFoundError as error:
        if named:
            todo = f"`cgstatd token --tokens {path} new --name central` makes it, with a token in it"
            raise BadSetting("tokens", f"{path}: no such file; {todo}") from error
        return ()
    except OSError as error:
        raise CannotServe(f"{path}: {error.strerror}") from error
    except BadTokens as error:
        raise CannotServe(str(error)) from error


def _name(sock: socket.socket) -> str:
    where = sock.getsockname()
    return f"{where[0]}:{where[1]}" if isinstance(where, tuple) and len(where) >= 2 else str(where)


def _refusal(name: str, tokens: str) -> str:
    return (
        f"refusing to listen on {name}: it can be reached from the network and would demand no credentials; "
        f"make a token with `cgstatd token new --name central --env 1 --allow containers:view` (there is none in "
        f"{tokens}), or set tls_client_ca, or listen on 127.0.0.1 or unix:/PATH"
    )
