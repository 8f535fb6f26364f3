"""One cgroup: its directory in each controller's tree, and the records and counters read from them."""

from __future__ import annotations

from contextlib import ExitStack

from .absent import Absent
from .controllers import cpu, io, memory, pids, psi
from .controllers.counters import CounterReader, Descriptors, Source
from .errors import CgroupGone
from .formats import parse_pids
from .hierarchy import Hierarchy, Mount, Version
from .pseudofs import Directory, Root


class Cgroup:
    """A cgroup by its path below the mounts (``/system.slice/docker-….scope``; the same path in every v1 tree).

    Holds nothing open. A controller whose tree does not have the path is absent in the records (v1: a container can be
    missing from one tree while it starts or dies). ``inodes`` (mount point -> inode), where given, pins the identity: a
    directory with another inode raises CgroupGone.
    """

    __slots__ = ("_hierarchy", "_inodes", "_root", "path")

    def __init__(self, root: Root, hierarchy: Hierarchy, path: str, inodes: dict[str, int] | None = None) -> None:
        self._root = root
        self._hierarchy = hierarchy
        self._inodes = inodes or {}
        self.path = path.rstrip("/")

    def directory_path(self, mount: Mount) -> str:
        """The real path of this cgroup's directory in one tree."""
        return self._root.join(mount.point) + self.path

    def _open(self, stack: ExitStack, opened: dict[str, Source], controller: str) -> Source:
        """The controller's directory; trees that several controllers share are opened once."""
        mount = self._hierarchy.mount(controller)
        if mount is None:
            return None
        if mount.point not in opened:
            try:
                directory = Directory(self.directory_path(mount), self._inodes.get(mount.point))
            except CgroupGone:
                if mount.point in self._inodes:
                    raise
                opened[mount.point] = None
            else:
                opened[mount.point] = (stack.enter_context(directory), mount.version)
        return opened[mount.point]

    def _directories(self, stack: ExitStack, *controllers: str) -> list[Source]:
        opened: dict[str, Source] = {}
        found = [self._open(stack, opened, controller) for controller in controllers]
        if all(source is None for source in found) and not self.exists():
            raise CgroupGone(self.path)
        return found

    def exists(self) -> bool:
        """Whether any tree has the path."""
        for mount in self._hierarchy.trees:
            try:
                Directory(self.directory_path(mount)).close()
            except CgroupGone:
                continue
            except OSError:
                return True
            return True
        return False

    def cpu(self) -> cpu.Cpu:
        """CPU time, throttling, quota, CPU set. Raises CgroupGone."""
        with ExitStack() as stack:
            own, acct, cpus = self._directories(stack, "cpu", "cpuacct", "cpuset")
            read = cpu.read_v1 if _version(own or acct) is Version.V1 else cpu.read_v2
            return read(*(source[0] if source else None for source in (own, acct, cpus)))

    def memory(self) -> memory.Memory:
        """Usage, memory.stat, limits, events. Raises CgroupGone."""
        with ExitStack() as stack:
            (source,) = self._directories(stack, "memory")
            read = memory.read_v1 if _version(source) is Version.V1 else memory.read_v2
            return read(source[0] if source else None)

    def io(self) -> io.Io:
        """Block I/O by device. Raises CgroupGone."""
        with ExitStack() as stack:
            (source,) = self._directories(stack, "io")
            read = io.read_v1 if _version(source) is Version.V1 else io.read_v2
            return read(source[0] if source else None)

    def pids(self) -> pids.Pids:
        """Number of tasks and its limit. Raises CgroupGone."""
        with ExitStack() as stack:
            (source,) = self._directories(stack, "pids")
            return pids.read(source[0] if source else None)

    def pressure(self) -> psi.Pressure:
        """PSI of the unified tree; a record of reasons where there is none. Raises CgroupGone."""
        unified = next((m for m in self._hierarchy.trees if m.version is Version.V2), None)
        if unified is None:
            return psi.read(None)
        try:
            with Directory(self.directory_path(unified), self._inodes.get(unified.point)) as directory:
                return psi.read(directory)
        except CgroupGone:
            if self.exists():
                return psi.read(None)
            raise

    def counters(self, descriptors: Descriptors, payload: str = "") -> CounterReader:
        """A reader that keeps the files open; ``payload``: the child cgroup that is frozen instead of this one (crun).

        Raises CgroupGone.
        """
        with ExitStack() as stack:
            acct, mem, block, freezer = self._directories(stack, "cpuacct", "memory", "io", "freezer")
            if payload and freezer is not None:
                try:
                    inner = stack.enter_context(Directory(f"{freezer[0].path}/{payload}"))
                    freezer = (inner, freezer[1])
                except CgroupGone:
                    pass  # runc makes no child: the scope itself is frozen
            return CounterReader(acct, mem, block, freezer, descriptors)

    def procs(self, limit: int = 64) -> list[int]:
        """Up to ``limit`` pids of the cgroup; of its descendants where it has none itself or is threaded.

        Sources: cgroup.procs of each tree in turn (on v1 a starting or dying container is missing from some).
        """
        for mount in self._hierarchy.trees:
            found = _procs_below(self.directory_path(mount), limit, 0)
            if found:
                return found
        return []


_DEPTH = 8


def _version(source: Source) -> Version | None:
    return source[1] if source else None


def _procs_below(path: str, limit: int, depth: int) -> list[int]:
    """Depth-first, so that the first descendant that has a process is enough."""
    try:
        with Directory(path) as directory:
            data = directory.read("cgroup.procs")
            found = [] if isinstance(data, Absent) else parse_pids(data)[:limit]
            if found or depth >= _DEPTH:
                return found
            names = [name for name, _ in directory.children()][:limit]
    except (CgroupGone, OSError):
        return []
    for name in names:
        found = _procs_below(f"{path}/{name}", limit, depth + 1)
        if found:
            return found
    return []
