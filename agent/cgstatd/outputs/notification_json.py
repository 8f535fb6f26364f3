"""The body that is sent to a webhook (notify_url): docs/operating.md describes it.

Of a container it has what the list has: no label, no environment, no argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from .. import __version__
from .unknown import shown

FORMAT = 1
EXIT, OOM, FLAPPING, MEMORY, SUMMARY = "exit", "oom", "flapping", "memory", "summary"
"""The types of a notification."""
_encode = msgspec.json.Encoder().encode


class Notification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something happened to a container. null: it is not known, or no part of this type."""

    type: str
    """``exit``, ``oom``, ``flapping``, ``memory``; ``summary`` of those beyond an owner's share, of no container."""
    text: str
    """The same as a sentence."""
    timestamp: int
    """When, in milliseconds since the epoch."""
    id: str
    name: str
    workload: str | None
    runtime: str
    owner_uid: int
    reason: str | None
    """``Error`` or ``OOMKilled``, as in Kubernetes; ``Flapping``; ``NearMemoryLimit``."""
    exit_code: int | None = None
    exit_code_absent: str | None = None
    """Why the code of an end is not known."""
    signal: int | None = None
    """What ended its first process, by the kernel's word; null: it exited by itself, or that is not known."""
    signal_absent: str | None = None
    """Why it is not known, where the exit code is."""
    oom_killed: bool | None = None
    kills: int | None = None
    """``oom``: how many processes of it were killed since the look before."""
    restarts: int | None = None
    memory_usage: int | None = None
    """``memory``: without inactive file cache, in bytes."""
    memory_limit: int | None = None
    count: int = 1
    """How many of this type and workload it stands for: it is the latest of them; of a summary: of its owner."""


def summary(owner_uid: int, counts: Mapping[str, int], timestamp: int) -> Notification:
    """Of an owner's notifications that are not told one by one; ``counts``: how many of each type."""
    total, whose = sum(counts.values()), f"uid {owner_uid}" if owner_uid else "system"
    types = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    text = f"{total} more notifications of {whose} within a minute: {types}"
    return Notification(
        type=SUMMARY, text=text, timestamp=timestamp, id="", name=whose, workload=None, runtime="",
        owner_uid=owner_uid, reason=None, count=total,
    )  # fmt: skip


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of one request."""

    format: int
    agent: str
    """The agent's version."""
    host: str | None
    """The host's name."""
    env: int
    lost: int
    """How many notifications were lost since the agent was started: they are in no body."""
    notifications: Sequence[Notification]
    """The oldest first."""


def body(host: str | None, env: int, lost: int, notifications: Sequence[Notification]) -> bytes:
    """The JSON of one request."""
    return _encode(
        Envelope(format=FORMAT, agent=__version__, host=shown(host), env=env, lost=lost, notifications=notifications)
    )
