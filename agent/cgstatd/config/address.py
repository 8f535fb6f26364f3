"""Where the agent listens: ``127.0.0.1:9713``, ``[::1]:9713``, ``localhost:9713`` or ``unix:/run/cgstatd.sock``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ..basics.text import is_number, lower

DEFAULT_LISTEN = "127.0.0.1:9713"
EXPECTED = f"HOST:PORT (port 0 to 65535) or unix:/PATH, as in {DEFAULT_LISTEN}"


class BadAddress(ValueError):
    """Not an address; says what is expected."""


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address that a text names. Raises BadAddress."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise BadAddress("a unix socket needs an absolute path, as in unix:/run/cgstatd.sock")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not is_number(port, 5) or int(port) > 65535:
        raise BadAddress(f"expected {EXPECTED}")
    return Address(host=host, port=int(port))


def is_private(text: str) -> bool:
    """Whether an address is of this host alone, as far as it says so itself. Raises BadAddress."""
    address = parse_address(text)
    if address.path or lower(address.host) == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
