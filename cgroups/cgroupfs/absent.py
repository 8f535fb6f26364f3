"""Why the kernel does not give a value; and the limit that is no limit.

``None`` in a record means that the kernel does not say. The reason stands beside it in the record's ``missing``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Absent(enum.Enum):
    """Reasons a value is missing; the text is meant for people."""

    CONTROLLER_OFF = "the controller is not enabled for this cgroup"
    FILE_ABSENT = "this kernel or this cgroup has no such file"
    KEY_ABSENT = "the file does not have this key"
    PERMISSION = "permission denied"
    UNSUPPORTED = "the kernel refuses to read this file here"
    READ_FAILED = "the file could not be read"
    MALFORMED = "the file does not have the documented format"
    TOO_LARGE = "the file is larger than any that the kernel is known to write, and is not read"
    NOT_COUNTED = "the kernel counts nothing here"
    NO_PROCESS = "no process is visible in the cgroup"
    NO_NETWORK = "none of the processes that were asked has a network (any more)"
    TOO_MANY = "there are more cgroups below this one than are looked into"
    HIDDEN = "/proc hides the container's processes (hidepid); the agent needs CAP_SYS_PTRACE to see them"
    FOREIGN = "its processes are in a PID namespace the agent cannot see; run the agent in the host's (--pid=host)"
    HOST_NETWORK = "the container uses the host's network"


FAILED = frozenset({Absent.PERMISSION, Absent.READ_FAILED, Absent.MALFORMED, Absent.TOO_LARGE})
"""Reasons that are a file's that is there: a value that is missing for one of them is wrong, not merely absent."""


class Max(enum.Enum):
    """The limit ``max``: set to no limit. Distinct from a number and from absent."""

    MAX = "max"


MAX = Max.MAX
Limit = int | Max | None
"""Bytes (or processes, …), :data:`MAX`, or ``None`` where the kernel does not say."""


@dataclass(frozen=True, slots=True)
class Missing:
    """One value that is absent: the record's field, the reason, and the file that would have it."""

    field: str
    """Its name in the table (:data:`cgroupfs.FIELDS`)."""
    reason: Absent
    path: str

    @property
    def failed(self) -> bool:
        """Whether the file is there and could not be read or understood."""
        return self.reason in FAILED
