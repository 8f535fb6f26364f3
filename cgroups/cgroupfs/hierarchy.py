"""Where each controller is: mountinfo -> per controller its version and mount, bound once.

Sample of /proc/self/mountinfo (Documentation/filesystems/proc.rst, 3.5)::

    32 24 0:27 / /sys/fs/cgroup rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
    40 32 0:35 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:20 - cgroup cgroup rw,cpu,cpuacct
    33 32 0:28 / /sys/fs/cgroup/systemd rw shared:13 - cgroup cgroup rw,xattr,name=systemd

A v1 hierarchy holds the controllers named in its super options; several may be mounted together, and a named one
(``name=systemd``) holds none. A controller that is in a v1 hierarchy is not in the v2 one, so v1 wins where both are
mounted (hybrid). Modes, as systemd calls them: unified, legacy, hybrid.
"""

from __future__ import annotations

import enum
import errno
import os
from dataclasses import dataclass, field
from typing import Any

from .errors import NoCgroups
from .root import Root


class Version(enum.Enum):
    """The interface of a hierarchy."""

    V1 = 1
    V2 = 2


NEWEST = Version.V2
"""The version whose files are named where no cgroup has any."""
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "io", "pids", "freezer")
"""The controllers that are read, by their v2 names; ``cpuacct`` and ``freezer`` are part of the core on v2."""
_V1_NAMES = {"blkio": "io"}
_CORE_ON_V2 = frozenset({"cpuacct", "freezer"})


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted cgroup hierarchy: mount point (host path), root inside the hierarchy, version, controllers."""

    point: str
    root: str
    version: Version
    controllers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Each controller's mount, and every hierarchy a container may be found in (first: the one with most controllers).

    ``mode`` is ``unified``, ``legacy`` or ``hybrid``. A controller that is mounted nowhere is not in ``bound``.
    """

    mode: str
    bound: tuple[tuple[str, Mount], ...]
    trees: tuple[Mount, ...]
    plans: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Which files each set of fields is read from on this host (:class:`cgroupfs.reader.Plan`)."""

    @property
    def unified(self) -> Mount | None:
        """The mount of the v2 tree, whatever controllers it has."""
        return next((mount for mount in self.trees if mount.version is Version.V2), None)

    def mount(self, controller: str) -> Mount | None:
        """The mount that holds a controller, or None."""
        return next((mount for name, mount in self.bound if name == controller), None)

    def limits_below(self, controller: str) -> bool:
        """Whether a controller's limits count for the cgroups below one, too: those of I/O on v1 do not."""
        mount = self.mount(controller)
        return controller != "io" or mount is None or mount.version is not Version.V1


def _unescape(raw: bytes) -> str:
    r"""mountinfo writes space, tab, newline and backslash as \040 \011 \012 \134."""
    field = raw.decode("utf-8", "surrogateescape")
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field


def parse_mountinfo(data: bytes) -> list[Mount]:
    """The cgroup mounts of a mountinfo file, in its order; other file systems and malformed lines are left out."""
    mounts = []
    for line in data.split(b"\n"):  # not decoded first: str.split() would cut paths at other white space
        left, _, right = line.partition(b" - ")
        before, after = left.split(b" "), right.split(b" ")
        if len(before) < 6 or len(after) < 3 or after[0] not in (b"cgroup", b"cgroup2"):
            continue
        version = Version.V2 if after[0] == b"cgroup2" else Version.V1
        options = after[2].decode("ascii", "replace").split(",")
        names = frozenset(_V1_NAMES.get(o, o) for o in options if _V1_NAMES.get(o, o) in CONTROLLERS)
        mounts.append(
            Mount(_unescape(before[4]), _unescape(before[3]), version, names if version is Version.V1 else frozenset())
        )
    return mounts


def _unified_controllers(root: Root, mount: Mount) -> frozenset[str]:
    """cgroup.controllers of a v2 mount: the controllers that v1 hierarchies leave to it."""
    try:
        names = root.read(f"{mount.point}/cgroup.controllers").decode("ascii", "replace").split()
    except OSError:
        return frozenset()
    return frozenset(names).intersection(CONTROLLERS)


def _candidates(root: Root) -> list[list[Mount]]:
    """Mounts as pid 1 and as this process see them, as host paths; the likelier first.

    Below another root (a container that has the host's /proc and /sys mounted) the host's own view is pid 1's; in this
    process' view the same mounts have the root's path in front.
    """
    found: dict[str, list[Mount]] = {}
    denied: OSError | None = None
    for who in ("self", "1"):
        try:
            found[who] = parse_mountinfo(root.read(f"/proc/{who}/mountinfo"))
        except OSError as error:
            denied = denied or (error if error.errno in (errno.EACCES, errno.EPERM) else None)
    if not found and denied is not None:
        raise NoCgroups(f"{root.join('/proc')}/self/mountinfo: permission denied: cannot find the cgroup file systems")
    own = found.get("self", [])
    prefix = root.path + "/"
    inside = [
        Mount(m.point[len(root.path) :], m.root, m.version, m.controllers) for m in own if m.point.startswith(prefix)
    ]
    return [found.get("1", []), inside, own] if root.path else [own, found.get("1", [])]


def detect(root: Root) -> Hierarchy:
    """Find the cgroup file systems below ``root``. Raises NoCgroups (one sentence) when there are none."""
    mounts: list[Mount] = []
    for candidate in _candidates(root):
        mounts = [m for m in candidate if os.path.isdir(root.join(m.point))]
        if mounts:
            break
    if not mounts:
        raise NoCgroups(
            f"no cgroup file system is mounted below {root.path or '/'}: "
            "mount one (systemd does at boot) or point --host-root at a directory that holds the host's /proc and /sys"
        )
    return bind(root, mounts)


def bind(root: Root, mounts: list[Mount]) -> Hierarchy:
    """Decide, once for each controller, which mount it is read from."""
    unified = next((m for m in mounts if m.version is Version.V2), None)
    legacy = [m for m in mounts if m.version is Version.V1]
    bound: dict[str, Mount] = {}
    for mount in legacy:
        for name in mount.controllers:
            bound.setdefault(name, mount)
    own: frozenset[str] = frozenset()
    if unified is not None:
        own = frozenset((_unified_controllers(root, unified) | _CORE_ON_V2) - bound.keys())
        unified = Mount(unified.point, unified.root, unified.version, own)
        bound.update((name, unified) for name in own)
    mode = "unified" if not legacy else "legacy" if unified is None else "hybrid"
    trees: dict[str, Mount] = {}
    for mount in sorted([*([unified] if unified else []), *legacy], key=lambda m: -len(m.controllers)):
        trees.setdefault(mount.point, mount)
    order = [name for name in CONTROLLERS if name in bound]
    return Hierarchy(mode, tuple((name, bound[name]) for name in order), tuple(trees.values()))
