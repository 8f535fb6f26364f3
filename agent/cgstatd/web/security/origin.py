"""What a web page in a browser may do with the agent: nothing, unless its origin is allowed.

A page cannot read another origin's answers (no CORS header, no access). But it can make its own host name resolve to
127.0.0.1, and so be of the same origin (DNS rebinding). The Host header still has that name, so loopback listeners
answer to their own names only.

A request is executed before its answer is withheld. So one that the browser says another site's page sends
(``Sec-Fetch-Site``, Fetch Metadata) is refused at once, unless its origin is allowed or a person follows a link.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache

from ...basics.text import is_number, lower

_SAFELISTED = "Authorization, Last-Event-ID"
_MAX_AGE_SECONDS = "600"
_LONGEST_ADDRESS = 45
"""Letters of an IPv6 address that ends as one of IPv4."""


class Hosts:
    """The names that a loopback listener answers to."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset({"localhost", *(lower(name).strip("[]") for name in allowed)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hosts) and self._allowed == other._allowed

    def __hash__(self) -> int:
        return hash(self._allowed)

    def allow(self, host: str | None) -> bool:
        """Whether a Host header is one of ours. Browsers always send one; a client that sends none is no page."""
        if host is None:
            return True
        name = lower(host)
        if name.startswith("["):
            name, bracket, port = name[1:].partition("]")
            if not bracket or (port and not is_number(port[1:])) or port[:1] not in ("", ":"):
                return False
        else:
            name, colon, port = name.partition(":")
            if colon and not is_number(port):
                return False
        return name in self._allowed or (len(name) <= _LONGEST_ADDRESS and _is_loopback(name))


@lru_cache(32)
def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Origins:
    """The origins whose pages may read answers, compared exactly."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def __bool__(self) -> bool:
        return bool(self._allowed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origins) and self._allowed == other._allowed

    def __hash__(self) -> int:
        return hash(self._allowed)

    def allow(self, origin: str | None) -> bool:
        """Whether a page of this origin may read what we answer."""
        return origin in self._allowed

    def sends(self, headers: Mapping[str, str]) -> bool:
        """Whether a request is one that a page of another origin may send. A client that is no browser says nothing."""
        if headers.get("Sec-Fetch-Site") not in ("cross-site", "same-site") or self.allow(headers.get("Origin")):
            return True
        return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"

    def mark(self, origin: str | None, headers: MutableMapping[str, str]) -> None:
        """Add the headers that tell this to a browser (and to caches)."""
        headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Origin")))
        if origin is not None and origin in self._allowed:
            headers["Access-Control-Allow-Origin"] = origin

    @staticmethod
    def preflight() -> dict[str, str]:
        """The headers of the answer to an allowed page's preflight."""
        return {
            "Access-Control-Allow-Methods": "GET",
            "Access-Control-Allow-Headers": _SAFELISTED,
            "Access-Control-Max-Age": _MAX_AGE_SECONDS,
        }
