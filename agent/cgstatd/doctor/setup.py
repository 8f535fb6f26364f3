"""Whether the agent would start as it is configured, and who might ask it."""

from __future__ import annotations

from collections.abc import Iterator

from ..auth import store
from ..auth.tokens import BadTokens
from ..config import DEFAULT_CONFIG, BadConfig, Settings, load
from ..web.tls import BadCertificate
from ..web.tls import load as load_certificate
from .findings import COSTS, NOTE, OK, Finding, Section, some


def section() -> Section:
    """Of this host's own /etc."""
    try:
        settings = load()
    except BadConfig as error:
        first = str(error).splitlines()[0]
        todo = "cgstatd config --check names every line that is wrong"
        return Section("Configuration", [Finding(COSTS, first, "everything: cgstatd serve does not start", todo)])
    return Section("Configuration", [_listen(settings), *_tokens(settings), *_tls(settings)])


def _listen(settings: Settings) -> Finding:
    where = ", ".join(settings.listen)
    changed = "as configured" if settings != Settings() else f"the defaults ({DEFAULT_CONFIG} may change them)"
    return Finding(OK, f"listens on {where}: {changed}")


def _tokens(settings: Settings) -> Iterator[Finding]:
    path = settings.tokens or store.DEFAULT_TOKENS
    try:
        tokens = store.read(path)[0].tokens
    except FileNotFoundError:
        yield Finding(OK, "no tokens: it answers whoever is on this host, and nobody else")
    except PermissionError:
        yield Finding(NOTE, f"{path}: belongs to root, and was not looked at")
    except (OSError, BadTokens) as error:
        yield Finding(
            COSTS, str(error), "everything: nobody is let in", "repair it, or make tokens anew: cgstatd token new"
        )
    else:
        if tokens:
            yield Finding(OK, f"{some(len(tokens), 'token')}: nobody is answered without one")
        else:
            yield Finding(NOTE, f"{path} has no token in it: nobody is answered", "", "cgstatd token new makes one")


def _tls(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_cert:
        return
    try:
        load_certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except BadCertificate as error:
        yield Finding(COSTS, str(error), "everything: cgstatd serve does not start", "see the file it names")
    else:
        yield Finding(OK, f"TLS with {settings.tls_cert}")
