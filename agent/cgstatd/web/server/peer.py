"""The client at the other end of a connection, worked out once when the connection is made."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...basics.text import lower

UNIX = "unix"
_UCRED = struct.Struct("=iII")
"""pid, uid, gid."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One client."""

    key: str
    """What is counted as one client: an IPv4 address, an IPv6 /64 (one site has all of it), or ``unix:`` and a uid."""
    loopback: bool
    """Whether it came to a listener on loopback, which a web page in a browser on this host can reach."""
    names: tuple[str, ...] = ()
    """The names that its certificate vouches for, in lower case."""
    admitted: Callable[[], bool] = lambda: True
    """Whether the authorities are still those by which its certificate was found good."""

    @property
    def unix(self) -> bool:
        """Whether it came to a unix socket."""
        return self.key.startswith(UNIX)


def _address(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(str(text).partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def address_key(where: Any, sock: Any = None) -> str:
    """What is counted for a socket address; ``sock``: the connection, which knows the user of a unix socket."""
    if not isinstance(where, tuple):
        return UNIX if sock is None else f"{UNIX}:{_peer_uid(sock)}"
    found = _address(where[0])
    if found.version == 4:
        return str(found)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def _peer_uid(sock: Any) -> int:
    """unix(7), SO_PEERCRED: who called connect(2); a user that this user namespace does not have is 65534."""
    return int(_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[1])


def is_private(sock: socket.socket) -> bool:
    """Whether only this host can reach a listening socket."""
    if sock.family == socket.AF_UNIX:
        return True
    return sock.family in (socket.AF_INET, socket.AF_INET6) and is_loopback(sock.getsockname())


def is_loopback(where: Any) -> bool:
    """Whether a socket address is of the loopback interface."""
    return isinstance(where, tuple) and _address(where[0]).is_loopback


def certificate_names(certificate: dict[str, Any] | None) -> tuple[str, ...]:
    """Subject alternative names; the common name only where there are none (RFC 9525)."""
    if not certificate:
        return ()
    names = [lower(str(value)) for _, value in certificate.get("subjectAltName", ())]
    if not names:
        names = [lower(str(v)) for part in certificate.get("subject", ()) for k, v in part if k == "commonName"]
    return tuple(names)


def of_transport(
    transport: asyncio.BaseTransport, loopback: bool, admits: Callable[[ssl.SSLContext], bool] = lambda _: True
) -> Peer:
    """The peer of a connection to a listener that is on loopback or is not.

    ``admits``: whether the authorities of a connection's context are authorities still.
    """
    tls = transport.get_extra_info("ssl_object")
    return Peer(
        address_key(transport.get_extra_info("peername"), transport.get_extra_info("socket")),
        loopback,
        certificate_names(transport.get_extra_info("peercert")),
        *([] if tls is None else [partial(admits, tls.context)]),
    )
