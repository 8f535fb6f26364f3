"""Whether the agent would start as it is configured, and who might ask it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..auth import store
from ..auth.tokens import BadTokens
from ..basics.private_directory import NotPrivate, private_directory
from ..config import DEFAULT_CONFIG, BadConfig, Settings, load
from ..config.address import is_private
from ..web.server.tls import BadCertificate
from ..web.server.tls import load as load_certificate
from . import forwarding, servers
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some

_DOES_NOT_START = "everything: cgstatd serve does not start"
_REFUSES = "everything: cgstatd serve refuses to start"
_AS_ROOT = "sudo cgstatd doctor looks at it"
_LEAST_ROOM = 8 << 20
_ASIDE = ".set-aside"


def section() -> Section:
    """Of this host's own /etc."""
    try:
        settings = load()
    except BadConfig as error:
        first = str(error).splitlines()[0]
        todo = "cgstatd config --check names every line that is wrong"
        return Section("Configuration", [Finding(COSTS, first, _DOES_NOT_START, todo)])
    found = [_listen(settings), _tokens(settings), *_tls(settings), *_history(settings), *forwarding.findings()]
    return Section("Configuration", [*found, *servers.webhook(settings), *servers.dockhand(settings)])


def _listen(settings: Settings) -> Finding:
    where = ", ".join(settings.listen)
    changed = "as configured" if settings != Settings() else f"the defaults ({DEFAULT_CONFIG} may change them)"
    return Finding(OK, f"listens on {where}: {changed}")


def _tokens(settings: Settings) -> Finding:
    path = settings.tokens or store.DEFAULT_TOKENS
    try:
        tokens = store.read(path)[0].tokens
    except FileNotFoundError:
        if settings.tokens:
            todo = f"correct `tokens`, or make the file: cgstatd token --tokens {path} new --name central"
            return Finding(COSTS, f"tokens {path}: no such file", _REFUSES, todo)
        whom = "client with a certificate that tls_client_ca vouches for"
        if not settings.tls_client_ca:
            whom = "user of this host, and no other client"
        return _open_to_all(settings, path) or Finding(OK, f"no tokens: it answers every {whom}")
    except PermissionError:
        return Finding(NOTE, f"{path}: belongs to root, and was not looked at", "", _AS_ROOT)
    except (OSError, BadTokens) as error:
        todo = "repair it, or make tokens anew: cgstatd token new"
        return Finding(COSTS, str(error), "everything: no client is let in", todo)
    if not tokens:
        todo = f"cgstatd token new --name central makes one; without the file (rm {path}) none is needed"
        what = f"{path} has no token in it: no client is answered"
        return _open_to_all(settings, path) or Finding(NOTE, what, "", todo)
    if any(token.holds(settings.env_id) for token in tokens):
        return Finding(OK, f"{some(len(tokens), 'token')}: no client is answered without one")
    held = "; ".join(f"{token.name}: {token.environments}" for token in tokens[:5])
    what = f"no token is for environment {settings.env_id}, which this host is ({held})"
    todo = f"cgstatd token new --name central --env {settings.env_id}; or --env any, or another env_id"
    return Finding(COSTS, what, "everything: every request is answered 403", todo)


def _open_to_all(settings: Settings, path: str) -> Finding | None:
    """The cost of having no token; None: nothing, as it is configured."""
    reachable = ", ".join(text for text in settings.listen if not is_private(text))
    if not reachable or settings.tls_client_ca:
        return None
    what = f"no token in {path}: listening on {reachable}, it would answer every client on the network"
    todo = "cgstatd token new --name central; or set tls_client_ca, or listen on 127.0.0.1 or unix:/PATH"
    return Finding(COSTS, what, _REFUSES, todo)


def _tls(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_cert:
        return
    try:
        load_certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        yield Finding(OK, f"TLS with {settings.tls_cert}")
    except BadCertificate as error:
        yield Finding(COSTS, f"{error.key} {error}", _DOES_NOT_START, "see the file it names")


def _history(settings: Settings) -> Iterator[Finding]:
    """The directory of the rounds that outlive a restart. Its owner is the agent's user, whichever that is."""
    path = settings.history_dir
    if not path:
        return
    cost = "history: it is in memory only, and ends with the agent"
    if not settings.history:
        yield Finding(COSTS, f"history_dir {path}: history = 0", "history: there is none", "set history, as in 3600")
        return
    try:
        directory = private_directory(path, os.stat(path).st_uid)
        names = sorted(os.listdir(directory))
        room = os.statvfs(directory)
        size = sum(os.lstat(f"{directory}/{name}").st_size for name in names if name.startswith("history-"))
    except NotPrivate as error:
        yield Finding(COSTS, f"history_dir: {error}", cost, "see there")
        return
    except PermissionError:
        yield Finding(NOTE, f"{path}: was not looked at", "", _AS_ROOT)
        return
    except OSError as error:
        todo = f"make it, for the agent's user alone: install -d -m 700 -o USER {path}; of the service: restart it"
        yield Finding(COSTS, f"history_dir {path}: {error.strerror}", cost, todo)
        return
    free, more = room.f_bavail * room.f_frsize, settings.history_max_bytes - size
    if room.f_flag & os.ST_RDONLY:
        yield Finding(COSTS, f"history_dir {path}: read-only", cost, "mount it writable, or choose another directory")
    elif free < min(more, _LEAST_ROOM):
        what = f"history_dir {path}: {free >> 20} MiB are free"
        yield Finding(COSTS, what, cost, "make room, or lower history_max_bytes")
    else:
        yield Finding(OK, f"history on disk: {path} has {size / 1e6:.1f} MB of {settings.history_max_bytes / 1e6:.0f}")
    if aside := [name for name in names if name.endswith(_ASIDE)]:
        what = f"{some(len(aside), 'file')} of the history could not be used: {listed(aside)} in {directory}"
        yield Finding(NOTE, what, "", "the log says why; they may be removed")
