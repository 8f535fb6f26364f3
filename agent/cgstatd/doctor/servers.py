"""The servers that the agent calls: Dockhand (dockhand_url) and the webhook (notify_url).

Each needs a secret and, of a server with a certificate of its own, the authorities. How it goes the running agent
alone knows: its metrics are asked for, where neither TLS nor a token stands before them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator

from ..basics.destination import origin
from ..config import Settings
from ..config.address import parse_address
from ..dockhand.token_file import BadToken, read_token
from ..notify.secret_file import BadSecret, read_secret
from .findings import COSTS, NOTE, OK, Finding

_UNSEEN = "Dockhand: the server sees nothing of this host"
_UNTOLD = "notifications: none is delivered"
_RELOAD = "systemctl reload cgstatd; the log says why not"
_JOURNAL = "journalctl -u cgstatd says what the server or the network answers"
_OUTCOME = r'(?m)^cgstatd_{}_total\{{outcome="(\w+)"\}} ([0-9.e+]+)'
_GAUGE = r"(?m)^cgstatd_{} ([0-9.e+]+)$"
_LOST = ("dropped", "refused", "expired")


def dockhand(settings: Settings) -> Iterator[Finding]:
    """The findings of the connection to Dockhand; none where no server is called."""
    if url := settings.dockhand_url:
        yield _trouble(
            ("dockhand_token_file", settings.dockhand_token_file), read_token, "put the token there that Dockhand made",
            ("dockhand_ca", settings.dockhand_ca), _UNSEEN,
        ) or _how_it_goes(
            settings, lambda text: _connection(url, text),
            Finding(NOTE, f"Dockhand: {url} is called; the running agent was not asked how that goes", "",
                    "cgstatd_dockhand_connected of /metrics says it"),
        )  # fmt: skip


def webhook(settings: Settings) -> Iterator[Finding]:
    """The findings of the notifications; none where there is no webhook."""
    if url := settings.notify_url:
        where = origin(url)
        yield _trouble(
            ("notify_secret_file", settings.notify_secret_file), lambda path: path and read_secret(path),
            "see the file it names", ("notify_ca", settings.notify_ca), _UNTOLD,
        ) or _how_it_goes(
            settings, lambda text: _deliveries(where, text),
            Finding(NOTE, f"notifications go to {where}; the running agent was not asked how that goes", "",
                    "cgstatd_notify_ok and cgstatd_notifications_total of /metrics say it"),
        )  # fmt: skip


def _trouble(
    secret: tuple[str, str], read: Callable[[str], object], todo: str, authorities: tuple[str, str], costs: str
) -> Finding | None:
    """Why a server cannot be called at all; None: not for a reason that can be seen from here.

    ``secret``, ``authorities``: (setting, file). The agent's user may well read what this one may not.
    """
    setting, path = secret
    try:
        read(path)
    except (BadToken, BadSecret) as error:
        denied = isinstance(error.__cause__, PermissionError)
        return None if denied else Finding(COSTS, f"{setting} {error}", costs, todo)
    setting, path = authorities
    try:
        if path:
            ssl.create_default_context(cafile=path)
    except PermissionError:
        return None
    except OSError as error:  # SSLError is one
        return Finding(COSTS, f"{setting} {path}: {error.strerror or error}", costs, "see the file")
    return None


def _how_it_goes(settings: Settings, finding: Callable[[str], Finding], not_asked: Finding) -> Finding:
    """The finding of the running agent's metrics; ``not_asked``: they cannot be had from here."""
    if settings.tls_cert:
        return not_asked
    from .ask_agent import metrics  # noqa: PLC0415 - for those who send something only

    text = metrics(parse_address(settings.listen[0]))
    return not_asked if text is None else finding(text)


def _outcomes(name: str, text: str) -> dict[str, int]:
    return {outcome: int(float(value)) for outcome, value in re.findall(_OUTCOME.format(name), text)}


def _gauge(name: str, text: str) -> float | None:
    found = re.search(_GAUGE.format(name), text)
    return None if found is None else float(found[1])


def _connection(url: str, text: str) -> Finding:
    connected, outcomes = _gauge("dockhand_connected", text), _outcomes("dockhand_attempts", text)
    if connected is None:
        what = f"Dockhand: the running agent calls no server yet, {url} is configured"
        return Finding(COSTS, what, _UNSEEN, _RELOAD)
    said = ", ".join(f"{outcomes.get(name, 0)} {name}" for name in ("connected", "refused", "failed"))
    if connected:
        return Finding(OK, f"Dockhand: connected to {url} (attempts: {said})")
    return Finding(COSTS, f"Dockhand: not connected to {url} (attempts: {said})", _UNSEEN, _JOURNAL)


def _deliveries(where: str, text: str) -> Finding:
    outcomes = _outcomes("notifications", text)
    if not outcomes:
        what = f"notifications: the running agent has none yet, {where} is configured"
        return Finding(COSTS, what, _UNTOLD, _RELOAD)
    lost = sum(outcomes.get(each, 0) for each in _LOST)
    waiting = int(_gauge("notify_waiting", text) or 0)
    said = f"{outcomes.get('delivered', 0)} delivered, {lost} lost, {waiting} waiting"
    if _gauge("notify_ok", text) == 0:
        return Finding(COSTS, f"notifications: {where} did not take the latest: {said}", "notifications", _JOURNAL)
    return Finding(NOTE if lost else OK, f"notifications go to {where}: {said}")
