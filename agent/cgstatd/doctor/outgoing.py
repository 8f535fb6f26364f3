"""What the doctor asks of every server that the agent sends something to."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from ..config import Settings
from ..config.address import parse_address
from .findings import COSTS, Finding


def findings_of(
    settings: Settings, trouble: Finding | None, not_asked: Finding, as_it_goes: Callable[[str], Finding]
) -> Iterator[Finding]:
    """What is to be said of one server.

    ``trouble``: what keeps it from being used at all; ``not_asked``: where the running agent cannot be asked;
    ``as_it_goes``: of what its metrics say.
    """
    if trouble is not None:
        yield trouble
        return
    text = _own_metrics(settings)
    yield not_asked if text is None else as_it_goes(text)


def bad_secret(setting: str, error: Exception, cost: str, todo: str) -> Finding | None:
    """A file with a secret that could not be used; None: the agent's user may well read it."""
    if isinstance(error.__cause__, PermissionError):
        return None
    return Finding(COSTS, f"{setting} {error}", cost, todo)


def authorities(setting: str, path: str, cost: str) -> Finding | None:
    """What is wrong with a file of authorities; None: nothing that can be seen from here."""
    try:
        if path:
            ssl.create_default_context(cafile=path)
    except PermissionError:
        return None
    except OSError as error:  # SSLError is one
        return Finding(COSTS, f"{setting} {path}: {error.strerror or error}", cost, "see the file")
    return None


def _own_metrics(settings: Settings) -> str | None:
    """What the running agent's metrics say; None: it cannot be asked from here."""
    if settings.tls_cert:
        return None
    from .ask_agent import metrics  # noqa: PLC0415 - for those who send something only

    return metrics(parse_address(settings.listen[0]))
