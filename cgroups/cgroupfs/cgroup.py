"""One cgroup: its directory in each controller's tree, and the records and counters read from them."""

from __future__ import annotations

from contextlib import ExitStack, suppress

from .controllers import cpu, export, io, limits, memory, pids, psi
from .controllers.counters import CounterReader
from .controllers.io import Counting
from .controllers.kept import Descriptors, Source
from .controllers.sources import SOURCES
from .controllers.vitals import VitalsReader
from .errors import CgroupGone
from .hierarchy import Hierarchy, Mount, Version
from .members import Members, Population, Walk, members, population
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
        try:
            if unified is None:
                raise CgroupGone(self.path)
            with Directory(self.directory_path(unified), self._inodes.get(unified.point)) as directory:
                return psi.read(directory)
        except CgroupGone:
            if self.exists():
                return psi.read(None)
            raise

    def counters(self, descriptors: Descriptors, payload: str = "", counting: Counting | None = None) -> CounterReader:
        """A reader that keeps the files open; ``payload``: the child cgroup that is frozen instead of this one (crun);
        ``counting``: see :func:`io_counting`. Raises CgroupGone.
        """
        with ExitStack() as stack:
            acct, mem, block, freezer = self._directories(stack, "cpuacct", "memory", "io", "freezer")
            if payload and freezer is not None:
                try:
                    inner = stack.enter_context(Directory(f"{freezer[0].path}/{payload}"))
                    freezer = (inner, freezer[1])
                except CgroupGone:
                    pass  # runc makes no child: the scope itself is frozen
            now = self._root.monotonic(self.path)
            return CounterReader(acct, mem, block, freezer, descriptors, counting, now)

    def source(self, field: str) -> str:
        """The file behind a record's field (``cpu.usage_usec``, ``memory.stat.anon``, ``pids.max``,
        ``pressure.memory``), as a path of the host."""
        controller, _, rest = field.partition(".")
        if controller == "pressure":
            unified = next((m for m in self._hierarchy.trees if m.version is Version.V2), None)
            return f"{unified.point}{self.path}/{rest}.pressure" if unified else f"{rest}.pressure"
        mount = self._hierarchy.mount("cpuacct" if controller == "cpu" else controller)
        own, name = SOURCES[mount.version if mount else Version.V2].get(field, (controller, field))
        return self.file(own, name)

    def file(self, controller: str, name: str) -> str:
        """One of the cgroup's files, as a path of the host."""
        mount = self._hierarchy.mount(controller)
        return f"{mount.point}{self.path}/{name}" if mount else name

    def host_path(self, path: str) -> str:
        """A real path as the host knows it: without the root that its /sys is found below."""
        return path.removeprefix(self._root.path) or "/"

    def limits(self) -> limits.Limits:
        """Its own limits alone, cheaper than the records that hold them too. Raises CgroupGone."""
        with ExitStack() as stack:
            return limits.read(*self._directories(stack, "cpu", "memory", "pids"))

    def export(self, block: bool = True) -> export.Exported:
        """What metrics are made of, at half the price of the records; without reasons.

        ``block`` False: leave block I/O out, where nobody counts it (:func:`io_counting`). Raises CgroupGone.
        """
        with ExitStack() as stack:
            cpus, acct, mem, tasks, *more = found = self._directories(
                stack, "cpu", "cpuacct", "memory", "pids", *(["io"] if block else [])
            )
            unified = next((m for m in self._hierarchy.trees if m.version is Version.V2), None)
            shared = next((source for source in found if source and source[1] is Version.V2), None)
            if shared is None and unified is not None:
                with suppress(CgroupGone):
                    shared = stack.enter_context(Directory(self.directory_path(unified))), Version.V2
            return export.read(cpus, acct, mem, more[0] if more else None, tasks, shared)

    def vitals(self, descriptors: Descriptors) -> VitalsReader:
        """A reader of what a watcher compares (tasks, OOM kills, peak) that keeps its files open. Raises CgroupGone."""
        with ExitStack() as stack:
            mem, tasks = self._directories(stack, "memory", "pids")
            return VitalsReader(mem, tasks, descriptors)

    def procs(self, limit: int = 64) -> list[int]:
        """Up to ``limit`` pids of the cgroup; of its descendants where it has none itself or is threaded.

        Sources: cgroup.procs of each tree in turn (on v1 a starting or dying container is missing from some).
        """
        return self.members(limit).pids

    def population(self) -> Population:
        """All processes of the cgroup and its descendants, counted; and where some of them are listed.

        Raises CgroupGone, OSError.
        """
        gone: CgroupGone | None = None
        best, walk = Population(0, "", []), Walk()
        for mount in self._hierarchy.trees:
            try:
                found = population(self.directory_path(mount), walk)
            except CgroupGone as error:  # v1: a starting or dying container is missing from some trees
                gone = gone or error
                continue
            if found.number and found.whole:
                return found
            gone = None
            if not best.number:
                best = found._replace(whole=found.whole and (best.whole or bool(found.number)))
            elif found.number > best.number:
                best = found
        if gone is not None and not self.exists():
            raise gone
        return best

    def members(self, limit: int = 64) -> Members:
        """As :meth:`procs`, and the cgroup.procs file that lists them (real path; empty where there is none).

        Raises Exhausted, OSError.
        """
        whole, walk = True, Walk()
        for mount in self._hierarchy.trees:
            found = members(self.directory_path(mount), limit, walk)
            if found.pids or found.foreign:
                return found
            whole = whole and found.whole
        return Members("", [], whole=whole)


def io_counting(root: Root, hierarchy: Hierarchy) -> Counting | None:
    """Tells whether block I/O is counted at all, to be refreshed once per pass; None where it always is (v2)."""
    mount = hierarchy.mount("io")
    if mount is None or mount.version is not Version.V1:
        return None
    try:
        with Directory(root.join(mount.point)) as directory:
            return Counting(directory)
    except (CgroupGone, OSError):
        return None


def _version(source: Source) -> Version | None:
    return source[1] if source else None
