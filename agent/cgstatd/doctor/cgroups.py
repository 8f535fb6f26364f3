"""Which controllers are where, and what a missing one costs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from cgroupfs import Hierarchy, Root, Version

from ..host.pressure_triggers import Triggers, open_triggers
from ..sampling.container import Container
from .examination import in_container, text_of
from .findings import COSTS, NOTE, OK, Finding, Section, listed, some

_MODES = {"unified": "v2 alone", "legacy": "v1 alone", "hybrid": "v1, and v2 beside it (hybrid)"}
_PRICES = {
    "cpuacct": (COSTS, "the CPU % of every container"),
    "memory": (COSTS, "memory usage and limit of every container (shown as 0)"),
    "io": (COSTS, "block I/O of every container (shown as 0)"),
    "pids": (COSTS, "the number of processes of every container"),
    "freezer": (NOTE, "a paused container looks like a running one"),
    "cpu": (NOTE, "in the detail view: CPU quota and throttling"),
    "cpuset": (NOTE, "in the detail view: which cores a container may use"),
}
_KERNELS = {"io": "blkio"}
"""The kernel's own name, where it is another."""
_OFF, _V2 = "switched off on the kernel command line", "systemd.unified_cgroup_hierarchy=1"
_CAUSES = {
    "disabled": (_OFF, "remove cgroup_disable={kernels} from the kernel command line and reboot"),
    "memory disabled": (_OFF, "add cgroup_enable=memory to the kernel command line (Raspberry Pi OS: in "
                        "/boot/firmware/cmdline.txt, on its one line; elsewhere remove cgroup_disable=memory) and "
                        "reboot"),
    "not built": ("this kernel was built without it for v1", f"boot with cgroup v2 ({_V2}), or another kernel"),
    "not in v2": ("not in cgroup.controllers of {top}", "boot without cgroup_no_v1=, or without whatever mounts it as "
                  "v1"),
    "not mounted": ("mounted nowhere", "mount -t cgroup -o {kernels} cgroup /sys/fs/cgroup/{kernels} and restart the "
                    "engines"),
    "in a container": ("mounted nowhere", "look on the host; a container has what its engine mounts for it"),
}  # fmt: skip
"""Why a controller is missing: in words, and what to do."""


def section(root: Root, hierarchy: Hierarchy, containers: Sequence[Container] = ()) -> Section:
    """One line for each mount, one for each controller that is missing, and who has pressure."""
    present = {name for name, _ in hierarchy.bound}
    findings = [
        *_places(hierarchy),
        *(_missing(root, name, hierarchy) for name in _PRICES if name not in present),
        *_swap(root, hierarchy),
        *_pressure(root, hierarchy, containers),
        *(_watched(open_triggers(root)) if root.live else ()),
    ]
    return Section(f"Control groups: {_MODES[hierarchy.mode]}", findings)


def _places(hierarchy: Hierarchy) -> Iterator[Finding]:
    """v1 has a mount for each controller or two, usually side by side: one line."""
    places: dict[str, list[str]] = {}
    for name, mount in hierarchy.bound:
        v1 = mount.version is Version.V1
        where = f"v1, below {os.path.dirname(mount.point)}" if v1 else f"v2, {mount.point}"
        places.setdefault(where, []).append(name)
    for where, names in places.items():
        yield Finding(OK, f"{', '.join(names)}: {where}")


def _enabled(root: Root) -> dict[str, bool]:
    """Whether each controller of /proc/cgroups is, by the kernel's name; a kernel with v2 alone may leave some out."""
    lines = [line.split() for line in text_of(root, "/proc/cgroups").splitlines()]
    return {line[0]: line[3] == "1" for line in lines if len(line) == 4 and not line[0].startswith("#")}


def _missing(root: Root, name: str, hierarchy: Hierarchy) -> Finding:
    level, price = _PRICES[name]
    kernels = _KERNELS.get(name, name)
    what, todo = _CAUSES[_cause(root, kernels, hierarchy)]
    facts = {"kernels": kernels, "top": hierarchy.trees[0].point}
    return Finding(level, f"{name}: {what.format(**facts)}", price, todo.format(**facts))


def _cause(root: Root, kernels: str, hierarchy: Hierarchy) -> str:
    """One of ``_CAUSES``."""
    options = text_of(root, "/proc/cmdline").split()
    disabled = any(kernels in each[15:].split(",") for each in options if each.startswith("cgroup_disable="))
    enabled = _enabled(root)
    if disabled or enabled.get(kernels) is False:
        return "memory disabled" if kernels == "memory" else "disabled"
    if hierarchy.mode == "unified":
        return "not in v2"
    if enabled and kernels not in enabled:
        return "not built"
    return "in a container" if in_container(root) else "not mounted"


def _swap(root: Root, hierarchy: Hierarchy) -> Iterator[Finding]:
    """v1 counts swap only where it was asked to; v2 always does."""
    mount = hierarchy.mount("memory")
    if mount is None or mount.version is not Version.V1:
        return
    try:
        root.read(f"{mount.point}/memory.usage_in_bytes")
        root.read(f"{mount.point}/memory.memsw.usage_in_bytes")
    except FileNotFoundError as error:
        if "memsw" in str(error.filename):
            costs = "in the detail view and the metrics: swap of each container"
            todo = "add swapaccount=1 to the kernel command line and reboot, if you want it"
            yield Finding(NOTE, "swap: not counted on v1", costs, todo)
    except OSError:
        return


def _pressure(root: Root, hierarchy: Hierarchy, containers: Sequence[Container]) -> Iterator[Finding]:
    """PSI is in the v2 tree alone, and off by default on some kernels. On a hybrid host the engine decides who is in
    that tree."""
    costs = "in the detail view and the metrics: pressure"
    advice = f"cgroup v2 has it ({_V2} on the kernel command line)"
    tree = hierarchy.unified
    if tree is None:
        yield Finding(NOTE, "pressure (PSI): v1 has none", costs, f"nothing; {advice}")
        return
    hybrid = hierarchy.mode == "hybrid"
    try:
        root.read(f"{tree.point}/cpu.pressure")
    except OSError:
        if root.live or not hybrid:  # in records of hybrid hosts that file may be left out
            todo = "add psi=1 to the kernel command line and reboot, if you want it"
            yield Finding(NOTE, "pressure (PSI): switched off", costs, todo)
            return
    lacking = [each for each in containers if all(point != tree.point for point, _ in each.ref.inodes)]
    if hybrid and lacking:
        names = listed(sorted(each.identity.name for each in lacking), 3)
        what = f"pressure (PSI): {len(lacking)} of {some(len(containers), 'container')} are in v1 alone ({names})"
        todo = f"nothing; an engine that has its containers in the v2 tree, too, has it (runc since 1.1), and {advice}"
        yield Finding(NOTE, what, f"{costs} of these", todo)


def _watched(triggers: Triggers) -> Iterator[Finding]:
    """Whether the kernel gives this user triggers; they are closed again at once."""
    names = [each.resource for each in triggers.open]
    triggers.close()
    if names:
        yield Finding(OK, f"pressure is watched: the kernel wakes the agent when processes wait for {', '.join(names)}")
    for why in triggers.reasons():
        yield Finding(NOTE, why, "which containers wait, and why")
