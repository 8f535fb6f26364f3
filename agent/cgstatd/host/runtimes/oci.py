"""What containerd's and Podman's state both have of the OCI runtime configuration, the part below ``linux``::

    {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/a"}],
     "resources": {"memory": {"limit": 134217728, "swap": 268435456}, "cpu": {"quota": 50000, "period": 100000},
                   "pids": {"limit": 55}}}

No ``network`` among the namespaces means the host's.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .base import Configured
from .labels import NULL, cut
from .state_values import Int, holds

LIST_LIMIT = 16 << 10
"""Bytes of the JSON of a container's namespaces (some 200), or of another list."""


class Namespace(msgspec.Struct, frozen=True):
    """``path``: empty, or where it was made before the container was."""

    type: str
    path: str = ""


class _Memory(msgspec.Struct, frozen=True):
    limit: Int | None = None
    swap: Int | None = None


class _Cpu(msgspec.Struct, frozen=True):
    quota: Int | None = None
    period: Int | None = None


class _Pids(msgspec.Struct, frozen=True):
    limit: Int | None = None


class _Resources(msgspec.Struct, frozen=True):
    memory: _Memory | None = None
    cpu: _Cpu | None = None
    pids: _Pids | None = None


class Process(msgspec.Struct, frozen=True):
    """Neither its arguments nor its environment."""

    terminal: bool = False


class Linux(msgspec.Struct, frozen=True):
    """Namespaces are decoded only when they are asked for: a user may have written very many."""

    namespaces: Annotated[msgspec.Raw, holds(list[Namespace])] = NULL
    resources: _Resources | None = None


_parse_namespaces = msgspec.json.Decoder(list[Namespace] | None).decode


def namespaces(linux: Linux) -> list[Namespace] | None:
    """Those that the container has of its own; None: not said, or too many. Raises ValueError, RecursionError."""
    return _parse_namespaces(linux.namespaces) if len(memoryview(linux.namespaces)) <= LIST_LIMIT else None


def memory_limit_bytes(linux: Linux) -> int | None:
    """None: no limit."""
    return positive(((linux.resources or _Resources()).memory or _Memory()).limit)


def configured(linux: Linux, process: Process | None, hostname: str | None) -> Configured:
    """What the configuration says beside of how the container was made."""
    resources = linux.resources or _Resources()
    memory, cpu, pids = resources.memory or _Memory(), resources.cpu or _Cpu(), resources.pids or _Pids()
    quota = positive(cpu.quota)
    return Configured(
        hostname=cut(hostname) or "",
        terminal=process is not None and process.terminal,
        cpus=quota / cpu.period if quota and cpu.period and cpu.period > 0 else None,
        cpu_quota_usec=quota,
        cpu_period_usec=positive(cpu.period),
        pids_limit=positive(pids.limit),
        memory_and_swap_bytes=memory.swap or None,
    )


def positive(number: int | None) -> int | None:
    """None where there is no limit: the runtimes write 0 or -1."""
    return number if number is not None and number > 0 else None
