"""Whether the agent would start as it is configured, and who might ask it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..auth import store
from ..auth.tokens import BadTokens, Token
from ..config import DEFAULT_CONFIG, BadConfig, Settings, load
from ..config.address import is_private
from ..web.server.tls import BadCertificate
from ..web.server.tls import load as load_certificate
from .findings import COSTS, NOTE, OK, Finding, Section, some


def section() -> Section:
    """Of this host's own /etc."""
    try:
        settings = load()
    except BadConfig as error:
        first = str(error).splitlines()[0]
        todo = "cgstatd config --check names every line that is wrong"
        return Section("Configuration", [Finding(COSTS, first, "everything: cgstatd serve does not start", todo)])
    return Section("Configuration", [_listen(settings), _tokens(settings), *_tls(settings)])


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
