"""What a Dockhand server is told beside the Engine API: who the agent is, figures of the host, what happens to
containers. The names are those of Hawser's protocol.
"""

from __future__ import annotations

from typing import Any

from ... import __version__
from ...sampling.host_figures import HostFacts
from .events import Event
from .names import hashed, rfc3339_ns
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


def metrics(facts: HostFacts, traffic: tuple[int, int] | None) -> dict[str, Any] | None:
    """The figures of the host: memory in bytes, seconds since boot; None where those are missing that the server
    counts on. ``traffic``: bytes received and sent by every interface but lo.

    ``cpuUsage`` is 100 per fully used core: Dockhand (1.0.36) divides it by the cores. Disks are left out: statvfs(2)
    waits for a server that is away.
    """
    total, available = facts.memory.get("MemTotal"), facts.memory.get("MemAvailable")
    if facts.cpu is None or facts.window is None or total is None or available is None:
        return None
    found: dict[str, Any] = {
        "cpuUsage": round(facts.window.busy_share * 100 * facts.cpu.cores, 2),
        "cpuCores": facts.cpu.cores,
        "memoryTotal": total,
        "memoryUsed": max(0, total - available),
        "memoryFree": available,
    }
    if traffic is not None:
        found["networkRxBytes"], found["networkTxBytes"] = traffic
    if facts.uptime_seconds is not None:
        found["uptime"] = int(facts.uptime_seconds)
    return found


def container_event(each: Event) -> dict[str, Any]:
    """An event with the attributes that the Engine API shows of it."""
    attributes = each.attributes
    return {
        "containerId": each.id,
        "containerName": attributes["name"],
        "image": attributes["image"],
        "action": each.action,
        "actorAttributes": attributes,
        "timestamp": rfc3339_ns(each.time_ns),
    }
