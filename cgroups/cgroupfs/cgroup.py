"""One cgroup: its directory in each controller's tree, and the records and counters read from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

from . import records
from .controllers import FIELDS
from .controllers.cpu import Cpu
from .controllers.io import Io
from .controllers.memory import Memory
from .controllers.pids import Pids
from .controllers.psi import Pressure
from .counters import CounterReader
from .counting import Counting
from .errors import CgroupGone
from .fields import UNIFIED
from .hierarchy import NEWEST, Hierarchy, Mount, Version
from .kept import Descriptors, PartlyKept
from .kept_reader import KeptReader
from .members import Members, Population, Walk, members, population
from .pseudofs import Directory, KeptFile
from .reader import Plan, Selection
from .root import Root

R = TypeVar("R")


class Cgroup:
    """A cgroup by its path below the mounts (``/system.slice/docker-….scope``; the same path in every v1 tree).

    A controller whose tree does not have the path is absent in the records (v1: a container can be missing from one
    tree while it starts or dies). ``inodes`` (mount point -> inode), where given, pins the identity: a directory with
    another inode raises CgroupGone. ``descriptors``, where given: the directories that were read once stay open, while
    at least half of these are free, until :meth:`close`. Without it nothing stays open, but for what is read
    :meth:`together`. What the latest :meth:`counters` keeps open is not opened once more by :meth:`read`.
    """

    __slots__ = ("_descriptors", "_files", "_hierarchy", "_inodes", "_kept", "_lent", "_root", "path")

    def __init__(
        self,
        root: Root,
        hierarchy: Hierarchy,
        path: str,
        inodes: dict[str, int] | None = None,
        descriptors: Descriptors | None = None,
    ) -> None:
        self._root = root
        self._hierarchy = hierarchy
        self._inodes = inodes or {}
        self._descriptors = descriptors
        self._kept: dict[str, Directory] = {}
        self._lent: dict[str, Directory | None] | None = None
        """What is open of it until the end of :meth:`together`, and which trees do not have it; None: out of it."""
        self._files: Mapping[str, KeptFile] = {}
        """Those of the latest counters, by their real paths; closed once these are."""
        self.path = path.rstrip("/")

    def close(self) -> None:
        """Release what was kept; nothing is kept from then on. Safe to call twice."""
        descriptors, self._descriptors = self._descriptors, None
        while self._kept and descriptors is not None:
            self._kept.popitem()[1].close()
            descriptors.release()

    def directory_path(self, mount: Mount) -> str:
        """The real path of this cgroup's directory in one tree."""
        return self._root.join(mount.point) + self.path

    def _mount(self, controller: str) -> Mount | None:
        return self._hierarchy.unified if controller == UNIFIED else self._hierarchy.mount(controller)

    def _where(self, controller: str) -> tuple[str, Version]:
        mount = self._mount(controller)
        return (mount.point, mount.version) if mount else ("", NEWEST)

    def _directory(self, mount: Mount | None) -> Directory | None:
        """None: the tree does not have the cgroup. Raises CgroupGone if the tree has another cgroup at the path."""
        if mount is None:
            return None
        if (kept := self._kept.get(mount.point)) is not None:
            return kept
        if self._lent is not None and mount.point in self._lent:
            return self._lent[mount.point]
        inode = self._inodes.get(mount.point)
        try:
            return Directory(self.directory_path(mount), inode)
        except CgroupGone:
            if inode is not None:
                raise
            return None

    def _opened(self, mount: Mount) -> Directory | None:
        """Its directory in one tree, where it is open."""
        return self._kept.get(mount.point) or (self._lent.get(mount.point) if self._lent else None)

    def _open(self, mounts: Iterable[Mount | None]) -> list[Directory | None]:
        """Its directories; the caller closes them. Raises CgroupGone where no tree has the cgroup; nothing is open
        then."""
        opened: list[Directory | None] = []
        try:
            for mount in mounts:
                opened.append(self._directory(mount))
            if not any(opened) and not self.exists():
                raise CgroupGone(self.path)
        except BaseException:
            self._close(opened)
            raise
        return opened

    def _keep(self, mount: Mount | None, directory: Directory | None) -> None:
        """A directory that was read is read again: to open it costs as much as three of its files."""
        descriptors = self._descriptors
        if mount is None or mount.point in self._kept or (self._lent is not None and mount.point in self._lent):
            return
        if directory and descriptors and descriptors.used < descriptors.limit // 2 and descriptors.take():
            self._kept[mount.point] = directory
        elif self._lent is not None:
            self._lent[mount.point] = directory

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is read meanwhile is read of directories that are opened once, and closed at the end."""
        lent = self._lent = {}
        try:
            yield
        finally:
            self._lent = None
            for directory in lent.values():
                if directory is not None:
                    directory.close()

    def _close(self, opened: list[Directory | None]) -> None:
        kept, lent = self._kept.values(), self._lent.values() if self._lent else ()
        for directory in opened:
            if directory is not None and directory not in kept and directory not in lent:
                directory.close()

    @contextmanager
    def _controllers(self, names: Iterable[str]) -> Iterator[dict[str, Directory | None]]:
        """Each controller's directory; one that several share is opened once. Raises CgroupGone as :meth:`_open`."""
        mounts = {name: self._mount(name) for name in names}
        trees = {mount.point: mount for mount in mounts.values() if mount}
        opened = self._open(trees.values())
        try:
            found = dict(zip(trees, opened, strict=True))
            yield {name: found[mount.point] if mount else None for name, mount in mounts.items()}
        finally:
            self._close(opened)

    def read(self, selection: Selection[R]) -> R:
        """A set of fields, each file opened and read once. Raises CgroupGone."""
        plans = self._hierarchy.plans
        if selection not in plans:
            mounts = {mount.point if mount else "": mount for mount in map(self._mount, selection.controllers)}
            made = Plan(selection, self._where)
            plans[selection] = made, [mounts[tree] for tree in made.trees]
        plan: Plan[R]
        plan, trees = plans[selection]
        opened = self._open(trees)
        try:
            files = self._files
            found = plan.read([each and PartlyKept(each, files) for each in opened] if files else opened)
            for mount, directory in zip(trees, opened, strict=True):
                self._keep(mount, directory)
            return found
        finally:
            self._close(opened)

    def reader(self, selection: Selection[R], descriptors: Descriptors) -> KeptReader[R]:
        """As :meth:`read`, again and again: the files stay open. Raises CgroupGone."""
        plans, key = self._hierarchy.plans, (selection, KeptReader)
        if key not in plans:
            plans[key] = Plan(selection, lambda controller: (controller, self._where(controller)[1]))
        with self._controllers(selection.controllers) as directories:
            return KeptReader(plans[key], directories, descriptors)

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

    def cpu(self) -> Cpu:
        """CPU time, throttling, quota, CPU set. Raises CgroupGone."""
        return self.read(records.CPU)

    def memory(self) -> Memory:
        """Usage, memory.stat, limits, events. Raises CgroupGone."""
        return self.read(records.MEMORY)

    def io(self) -> Io:
        """Block I/O by device. Raises CgroupGone."""
        return self.read(records.IO)

    def pids(self) -> Pids:
        """Number of tasks and its limit. Raises CgroupGone."""
        return self.read(records.PIDS)

    def pressure(self) -> Pressure:
        """PSI of the unified tree; a record of reasons where there is none. Raises CgroupGone."""
        return self.read(records.PRESSURE)

    def limits(self) -> records.Limits:
        """Its own limits alone, cheaper than the records that hold them too. Raises CgroupGone."""
        return self.read(records.LIMITS)

    def counters(self, descriptors: Descriptors, payload: str = "", counting: Counting | None = None) -> CounterReader:
        """A reader that keeps the files open; ``payload``: the child cgroup that is frozen instead of this one (crun);
        ``counting``: see :func:`~cgroupfs.counting.io_counting`. Raises CgroupGone.
        """
        names = ("cpuacct", "memory", "io", "freezer")
        with self._controllers(names) as opened, ExitStack() as stack:
            if payload and (scope := opened["freezer"]) is not None:
                with suppress(CgroupGone):  # runc makes no child: the scope itself is frozen
                    opened["freezer"] = stack.enter_context(Directory(f"{scope.path}/{payload}"))
            now = self._root.monotonic(self.path)
            acct, memory, io, freezer = (
                (found, self._where(name)[1]) if (found := opened[name]) else None for name in names
            )
            reader = CounterReader(acct, memory, io, freezer, descriptors, counting, now)
            self._files = reader.kept
            return reader

    def source(self, name: str) -> str:
        """The file behind a field (``cpu.usage_nsec``, ``memory.stat.anon``, ``pressure.cpu_some``), as a path of the
        host."""
        field = FIELDS[name]
        return self.file(field.controller, field.source(self._where(field.controller)[1]))

    def file(self, controller: str, name: str) -> str:
        """One of the cgroup's files, as a path of the host."""
        mount = self._mount(controller)
        return f"{mount.point}{self.path}/{name}" if mount else name

    def host_path(self, path: str) -> str:
        """A real path as a path of the host: without the root below which its /sys is found."""
        return path.removeprefix(self._root.path) or "/"

    def procs(self, limit: int = 64) -> list[int]:
        """Up to ``limit`` pids of the cgroup; of its descendants where it has none itself or is threaded.

        Sources: cgroup.procs of each tree in turn (on v1 a starting or dying container is missing from some).
        """
        return self.members(limit).pids

    def population(self, most: int = 0) -> Population:
        """All processes of the cgroup and its descendants, counted, and up to ``most`` of them listed; and a file that
        lists some of them. Raises CgroupGone, OSError."""
        gone: CgroupGone | None = None
        best, walk = Population(0, "", []), Walk(most)
        for mount in self._hierarchy.trees:
            try:
                found = population(self._opened(mount) or self.directory_path(mount), walk)
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
