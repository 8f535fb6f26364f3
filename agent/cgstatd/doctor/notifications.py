"""Whether there is a webhook (notify_url), what it needs, and what the running agent says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ..basics.destination import origin
from ..config import Settings
from ..notify.secret_file import BadSecret, read_secret
from .findings import COSTS, NOTE, OK, Finding
from .outgoing import authorities, bad_secret, findings_of

_COST = "notifications: none is delivered"
_OUTCOME = re.compile(r'cgstatd_notifications_total\{outcome="(\w+)"\} ([0-9.e+]+)')
_GAUGE = re.compile(r"(?m)^(cgstatd_notify_\w+) ([0-9.e+]+)$")
_LOST = ("dropped", "refused", "expired")


def findings(settings: Settings) -> Iterator[Finding]:
    """Nothing where there is no webhook."""
    if settings.notify_url:
        where = origin(settings.notify_url)
        what = f"notifications go to {where}; the running agent was not asked how that goes"
        not_asked = Finding(NOTE, what, "", "cgstatd_notify_ok and cgstatd_notifications_total of /metrics say it")
        yield from findings_of(settings, _needs(settings), not_asked, partial(_as_it_goes, where))


def _needs(settings: Settings) -> Finding | None:
    """What keeps it from being told at all; None: nothing that can be seen from here."""
    try:
        if settings.notify_secret_file:
            read_secret(settings.notify_secret_file)
    except BadSecret as error:
        return bad_secret("notify_secret_file", error, _COST, "see the file it names")
    return authorities("notify_ca", settings.notify_ca, _COST)


def _as_it_goes(where: str, text: str) -> Finding:
    outcomes = {name: int(float(value)) for name, value in _OUTCOME.findall(text)}
    gauges = {name: float(value) for name, value in _GAUGE.findall(text)}
    if not outcomes:
        todo = "systemctl reload cgstatd; the log says why not"
        return Finding(COSTS, f"notifications: the running agent has none yet, {where} is configured", _COST, todo)
    lost = sum(outcomes.get(each, 0) for each in _LOST)
    waiting = int(gauges.get("cgstatd_notify_waiting", 0))
    said = f"{outcomes.get('delivered', 0)} delivered, {lost} lost, {waiting} waiting"
    if not gauges.get("cgstatd_notify_ok", 1):
        todo = "journalctl -u cgstatd says what the server or the network answers"
        return Finding(COSTS, f"notifications: {where} did not take the latest: {said}", "notifications", todo)
    return Finding(NOTE if lost else OK, f"notifications go to {where}: {said}")
