"""Whether the agent would start as it is configured, and who might ask it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..auth import store
from ..auth.tokens import BadTokens, Token
from ..basics.private_directory import NotPrivate, private_directory
from ..config import DEFAULT_CONFIG, BadConfig, Settings, load
from ..config.address import is_private
from ..web.server.tls import BadCertificate
from ..web.server.tls import load as load_certificate
from . import calling, forwarding, notifications
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some

_LEAST_ROOM = 8 << 20
_ASIDE = ".set-aside"


def section() -> Section:
    """Of this host's own /etc."""
    try:
        settings = load()
    except BadConfig as error:
        first = str(error).splitlines()[0]
        todo = "cgstatd config --check names every line that is wrong"
        return Section("Configuration", [Finding(COSTS, first, "everything: cgstatd serve does not start", todo)])
    found = [_listen(settings), _tokens(settings), *_tls(settings), *_history(settings), *forwarding.findings()]
    found += notifications.findings(settings)
    found += calling.findings(settings)
    return Section("Configuration", found)


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
            return Finding(COSTS, f"tokens {path}: no such file", "everything: cgstatd serve refuses to start", todo)
        return _without(settings, path) or Finding(
            OK,
            "no tokens: it answers every client with a certificate that tls_client_ca vouches for"
            if settings.tls_client_ca
            else "no tokens: it answers every user of this host, and no other client",
        )
    except PermissionError:
        return Finding(NOTE, f"{path}: belongs to root, and was not looked at", "", "sudo cgstatd doctor looks at it")
    except (OSError, BadTokens) as error:
        todo = "repair it, or make tokens anew: cgstatd token new"
        return Finding(COSTS, str(error), "everything: no client is let in", todo)
    if tokens:
        return _elsewhere(settings, tokens) or Finding(
            OK, f"{some(len(tokens), 'token')}: no client is answered without one"
        )
    todo = f"cgstatd token new --name central makes one; without the file (rm {path}) none is needed"
    return _without(settings, path) or Finding(NOTE, f"{path} has no token in it: no client is answered", "", todo)


def _elsewhere(settings: Settings, tokens: Sequence[Token]) -> Finding | None:
    """The cost of having no token for the environment that this host is; None: there is one."""
    if any(token.holds(settings.env_id) for token in tokens):
        return None
    held = "; ".join(f"{token.name}: {token.environments}" for token in tokens[:5])
    return Finding(
        COSTS,
        f"no token is for environment {settings.env_id}, which this host is ({held})",
        "everything: every request is answered 403",
        f"cgstatd token new --name central --env {settings.env_id}; or --env any, or another env_id",
    )


def _without(settings: Settings, path: str) -> Finding | None:
    """The cost of having no token; None: nothing, as it is configured."""
    reachable = ", ".join(text for text in settings.listen if not is_private(text))
    if not reachable or settings.tls_client_ca:
        return None
    return Finding(
        COSTS,
        f"no token in {path}: listening on {reachable}, it would answer every client on the network",
        "everything: cgstatd serve refuses to start",
        "cgstatd token new --name central; or set tls_client_ca, or listen on 127.0.0.1 or unix:/PATH",
    )


def _tls(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_cert:
        return
    try:
        load_certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except BadCertificate as error:
        yield Finding(
            COSTS, f"{error.key} {error}", "everything: cgstatd serve does not start", "see the file it names"
        )
    else:
        yield Finding(OK, f"TLS with {settings.tls_cert}")


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
        yield Finding(NOTE, f"{path}: was not looked at", "", "sudo cgstatd doctor looks at it")
        return
    except OSError as error:
        todo = f"make it, for the agent's user alone: install -d -m 700 -o USER {path}; of the service: restart it"
        yield Finding(COSTS, f"history_dir {path}: {error.strerror}", cost, todo)
        return
    free, more = room.f_bavail * room.f_frsize, settings.history_max_bytes - size
    if room.f_flag & os.ST_RDONLY:
        yield Finding(COSTS, f"history_dir {path}: read-only", cost, "mount it writable, or choose another directory")
    elif free < min(more, _LEAST_ROOM):
        yield Finding(
            COSTS, f"history_dir {path}: {free >> 20} MiB are free", cost, "make room, or lower history_max_bytes"
        )
    else:
        yield Finding(OK, f"history on disk: {path} has {size / 1e6:.1f} MB of {settings.history_max_bytes / 1e6:.0f}")
    if aside := [name for name in names if name.endswith(_ASIDE)]:
        what = f"{some(len(aside), 'file')} of the history could not be used: {listed(aside)} in {directory}"
        yield Finding(NOTE, what, "", "the log says why; they may be removed")
