"""What containerd's and Podman's state both have of the OCI runtime configuration, the part below ``linux``::

    {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/a"}],
     "resources": {"memory": {"limit": 134217728}}}

No ``network`` among the namespaces means the host's.
"""

from __future__ import annotations

import msgspec

from .labels import NULL
from .state_values import Int

LIST_LIMIT = 16 << 10
"""Bytes of the JSON of a container's namespaces (some 200), or of another list."""


class Namespace(msgspec.Struct, frozen=True):
    """``path``: empty, or where it was made before the container was."""

    type: str
    path: str = ""


class _Memory(msgspec.Struct, frozen=True):
    limit: Int | None = None


class _Resources(msgspec.Struct, frozen=True):
    memory: _Memory | None = None


class Linux(msgspec.Struct, frozen=True):
    """Namespaces are decoded only when they are asked for: a user may have written very many."""

    namespaces: msgspec.Raw = NULL
    resources: _Resources | None = None


_parse_namespaces = msgspec.json.Decoder(list[Namespace] | None).decode


def namespaces(linux: Linux) -> list[Namespace] | None:
    """Those that the container has of its own; None: not said, or too many. Raises ValueError, RecursionError."""
    return _parse_namespaces(linux.namespaces) if len(memoryview(linux.namespaces)) <= LIST_LIMIT else None


def memory_limit_bytes(linux: Linux) -> int | None:
    """None: no limit."""
    limit = ((linux.resources or _Resources()).memory or _Memory()).limit
    return limit if limit and limit > 0 else None
