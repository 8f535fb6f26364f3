"""The user that the doctor runs as, and what that lets it read."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator

from cgroupfs import Root

from ..host.inotify import Inotify
from ..sampling.open_host import descriptor_budget
from .examination import text_of
from .findings import NOTE, OK, Finding, Section

DAC_OVERRIDE, DAC_READ_SEARCH, SYS_PTRACE = 1, 2, 19
_FEW_DESCRIPTORS = 1000
_DROP_IN = (
    "a drop-in for the service: CapabilityBoundingSet= and AmbientCapabilities=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE"
)


def effective(status: str = "/proc/self/status") -> int:
    """The effective capabilities of this process, one bit each."""
    try:
        with open(status, encoding="ascii", errors="replace") as file:
            found = re.search(r"^CapEff:\s*([0-9a-f]+)$", file.read(), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1], 16) if found else 0


def section(root: Root) -> Section:
    """What this process has, not what the service has."""
    return Section("Rights", [*_user(), *_processes(root), *_limits()])


def _has(*capabilities: int) -> bool:
    held = effective()
    return any(held & 1 << each for each in capabilities)


def _user() -> Iterator[Finding]:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"uid {uid}"
    if _has(DAC_READ_SEARCH, DAC_OVERRIDE):
        yield Finding(OK, f"{user}: may read every file with a figure or a name in it (CAP_DAC_READ_SEARCH)")
    else:
        what = f"{user}, without CAP_DAC_READ_SEARCH: every figure, but no names of containers of root's engines"
        yield Finding(NOTE, what, "", "sudo cgstatd doctor shows what the service (cgstatd install) sees")


def _processes(root: Root) -> Iterator[Finding]:
    """How /proc is mounted, where it hides processes: ``hidepid=2``, ``invisible``, …"""
    mounts = text_of(root, "/proc/self/mountinfo")
    found = re.search(r"^\S+ \S+ \S+ / \S*/proc .* - proc \S+ \S*\bhidepid=(\w+)", mounts, re.MULTILINE)
    if found is None or found[1] in ("0", "off"):
        return
    if _has(SYS_PTRACE):
        yield Finding(OK, f"/proc hides processes (hidepid={found[1]}), but not from this one (CAP_SYS_PTRACE)")
    else:
        what = f"/proc hides other users' processes (hidepid={found[1]}): no network figures without CAP_SYS_PTRACE"
        yield Finding(NOTE, what, "", _DROP_IN)


def _limits() -> Iterator[Finding]:
    try:
        Inotify().close()
    except OSError as error:
        what = f"no inotify instance ({error.strerror}): changes are found by walking, which takes more CPU"
        yield Finding(NOTE, what, "", "raise the sysctl fs.inotify.max_user_instances")
    budget = descriptor_budget().limit
    if budget < _FEW_DESCRIPTORS:
        what = f"only {budget} files may be kept open: others are opened at each reading, which takes more CPU"
        todo = "raise it: LimitNOFILE= in the unit, ulimit -n in a shell, --ulimit nofile=65536 for a container"
        yield Finding(NOTE, what, "", todo)
