"""Who the agent is, for a Dockhand server. The names are those of Hawser's protocol."""

from __future__ import annotations

from typing import Any

from ... import __version__
from .names import hashed
from .system import HostWords

HEALTHY = b'{"status":"healthy"}'


def agent_id(host: HostWords) -> str:
    """A stable id in the form of a UUID; of the machine's own id, which stays secret, else of the host's name."""
    digits: str = hashed("agent", 0, host.machine_id or host.name)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def info(host: HostWords) -> dict[str, Any]:
    """GET /_hawser/info. ``uptime``: whole seconds since the host's boot; left out where that is not known."""
    uptime = {} if host.uptime_seconds is None else {"uptime": int(host.uptime_seconds)}
    return {
        "agentId": agent_id(host),
        "agentName": host.name,
        "dockerVersion": __version__,
        "hawserVersion": __version__,
        "mode": "standard",
        **uptime,
    }
