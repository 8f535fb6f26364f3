"""Whether there is a Dockhand server to call (dockhand_url), what that needs, and what the running agent says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ..config import Settings
from ..dockhand.token_file import BadToken, read_token
from .findings import COSTS, NOTE, OK, Finding
from .outgoing import authorities, bad_secret, findings_of

_COST = "Dockhand: the server sees nothing of this host"
_OUTCOME = re.compile(r'cgstatd_dockhand_attempts_total\{outcome="(\w+)"\} ([0-9.e+]+)')
_CONNECTED = re.compile(r"(?m)^cgstatd_dockhand_connected ([0-9.e+]+)$")


def findings(settings: Settings) -> Iterator[Finding]:
    """Nothing where no server is called."""
    url = settings.dockhand_url
    if url:
        what = f"Dockhand: {url} is called; the running agent was not asked how that goes"
        not_asked = Finding(NOTE, what, "", "cgstatd_dockhand_connected of /metrics says it")
        yield from findings_of(settings, _needs(settings), not_asked, partial(_as_it_goes, url))


def _needs(settings: Settings) -> Finding | None:
    """What keeps it from being called at all; None: nothing that can be seen from here."""
    try:
        read_token(settings.dockhand_token_file)
    except BadToken as error:
        return bad_secret("dockhand_token_file", error, _COST, "put the token there that Dockhand made")
    return authorities("dockhand_ca", settings.dockhand_ca, _COST)


def _as_it_goes(url: str, text: str) -> Finding:
    found, outcomes = _CONNECTED.search(text), {name: int(float(value)) for name, value in _OUTCOME.findall(text)}
    if found is None:
        what = f"Dockhand: the running agent calls no server yet, {url} is configured"
        return Finding(COSTS, what, _COST, "systemctl reload cgstatd; the log says why not")
    said = ", ".join(f"{outcomes.get(name, 0)} {name}" for name in ("connected", "refused", "failed"))
    if float(found[1]):
        return Finding(OK, f"Dockhand: connected to {url} (attempts: {said})")
    todo = "journalctl -u cgstatd says what the server or the network answers"
    return Finding(COSTS, f"Dockhand: not connected to {url} (attempts: {said})", _COST, todo)
