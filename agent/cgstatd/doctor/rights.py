"""The user that the doctor runs as, and what that lets it read."""

from __future__ import annotations

import os
import pwd
import re

from cgroupfs import Root

from ..host.inotify import Inotify
from ..sampling.open_host import descriptor_budget
from .findings import NOTE, OK, Finding, Section

DAC_OVERRIDE, DAC_READ_SEARCH, SYS_PTRACE = 1, 2, 19
_FEW_DESCRIPTORS = 1000


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
    capabilities = effective()
    reads = bool(capabilities & (1 << DAC_READ_SEARCH | 1 << DAC_OVERRIDE))
    findings = [_who(reads)]
    hidepid = _hidepid(root)
    if hidepid:
        findings.append(_hidden(hidepid, bool(capabilities & 1 << SYS_PTRACE)))
    findings += _limits()
    return Section("Rights", findings)


def _who(reads: bool) -> Finding:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"uid {uid}"
    if reads:
        return Finding(OK, f"{user}: may read every file with a figure or a name in it (CAP_DAC_READ_SEARCH)")
    return Finding(
        NOTE,
        f"{user}, without CAP_DAC_READ_SEARCH: every figure, but no names of containers of root's engines",
        "",
        "sudo cgstatd doctor shows what the service (cgstatd install) sees",
    )


def _hidepid(root: Root) -> str:
    """How /proc is mounted, as far as it hides processes: ``2``, ``invisible``, …"""
    try:
        mounts = root.read("/proc/self/mountinfo").decode("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r"^\S+ \S+ \S+ / \S*/proc .* - proc \S+ \S*\bhidepid=(\w+)", mounts, re.MULTILINE)
    return found[1] if found and found[1] not in ("0", "off") else ""


def _hidden(hidepid: str, ptrace: bool) -> Finding:
    if ptrace:
        return Finding(OK, f"/proc hides processes (hidepid={hidepid}), but not from this one (CAP_SYS_PTRACE)")
    return Finding(
        NOTE,
        f"/proc hides other users' processes (hidepid={hidepid}): no network figures without CAP_SYS_PTRACE",
        "",
        "a drop-in for the service: CapabilityBoundingSet= and AmbientCapabilities=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE",
    )


def _limits() -> list[Finding]:
    findings = []
    try:
        Inotify().close()
    except OSError as error:
        what = f"no inotify instance ({error.strerror}): changes are found by walking, which takes more CPU"
        findings.append(Finding(NOTE, what, "", "raise the sysctl fs.inotify.max_user_instances"))
    budget = descriptor_budget().limit
    if budget < _FEW_DESCRIPTORS:
        what = f"only {budget} files may be kept open: others are opened at each reading, which takes more CPU"
        todo = "raise it: LimitNOFILE= in the unit, ulimit -n in a shell, --ulimit nofile=65536 for a container"
        findings.append(Finding(NOTE, what, "", todo))
    return findings
