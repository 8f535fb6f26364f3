"""Asks the agent of this host for its own metrics. Imported only where there is something to ask about."""

from __future__ import annotations

import contextlib
import http.client

from ..config.address import Address

_SECONDS = 3.0
_MOST_BYTES = 64 << 20
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where an agent that listens there answers


def metrics(address: Address) -> str | None:
    """The body of /metrics; None: there is none to be had without TLS and token, or no agent answers."""
    if address.path:
        return None
    connection = http.client.HTTPConnection(_ANY.get(address.host, address.host), address.port, timeout=_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status == 200:
            return answer.read(_MOST_BYTES).decode("utf-8", "replace")
    return None
