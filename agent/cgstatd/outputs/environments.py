"""GET /api/environments: the one environment that an agent is, with the keys that Dockhand gives an environment."""

from __future__ import annotations

import msgspec

from ..basics.text import printable


class Environment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``id``: as configured; ``name``: the host's. The rest is what an engine on Dockhand's own host has there."""

    id: int
    name: str
    connection_type: str = "socket"
    host: str | None = None
    icon: str = "server"
    is_active: bool = True
    labels: list[str] = []
    public_ip: str | None = None
    has_tls_key: bool = False
    has_hawser_token: bool = False


def environment(number: int, hostname: str | None) -> Environment:
    """The agent's own."""
    return Environment(id=number, name=printable(hostname) if hostname else f"environment {number}")
