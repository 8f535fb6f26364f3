"""The kernel's files of a host: of every container's cgroup, those above and below it, and its processes.

A container is taken as a whole: what vanishes meanwhile is left out. Of /proc only what the readers use, never a
process' command line or environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from cgroupfs import Absent, CgroupGone, Clock, Directory, Root, field_files
from cgroupfs.pseudofs import read_rest, release

from ..host.discovery import CgroupRef
from ..host.procfs.process import Process
from ..sampling.container import Container
from ..sampling.sampler import Sampler
from .written_tree import LeftOut, Piece, TreeWriter

CGROUP_FILES: tuple[str, ...] = (
    *field_files(),  # the CPU time first: the clock is read right before
    *"cgroup.procs cgroup.type cgroup.controllers cgroup.subtree_control".split(),
)
"""Every file of a cgroup that ``cgroupfs`` reads, and nothing else: no device lists, no files that are only written."""
HOST_FILES = (
    *"/proc/stat /proc/meminfo /proc/uptime /proc/loadavg /proc/version /proc/cgroups".split(),
    *"/proc/pressure/cpu /proc/pressure/io /proc/pressure/memory /proc/pressure/irq".split(),
)
PROCESS_FILES = ("cgroup", "stat", "status", "comm")
_DEPTH = 8
_BELOW = 256
"""Directories below one container's in one hierarchy: its processes may make any number."""
_TRIES = 3
_TROUBLE = frozenset({Absent.PERMISSION, Absent.READ_FAILED})


class KernelRecorder:
    """Reads the kernel's files through a sampler's listing."""

    def __init__(self, sampler: Sampler, left_out: LeftOut) -> None:
        self._sampler = sampler
        self._root: Root = sampler.root
        self._left_out = left_out

    def record(self, tree: TreeWriter) -> list[Container]:
        """Take one reading; the containers that are in it. Raises ListingFailed."""
        for path in HOST_FILES:
            tree.add(self._file(path))
        tree.add(self._own_network())
        done = []
        for container in self._sampler.containers():
            found = self._container(container)
            if found is None:
                continue
            clock, pieces = found
            if not tree.fits(pieces):
                self._left_out.add(container.ref.path, "too long a path to be written below the directory")
                continue
            tree.add(pieces)
            tree.clock(container.ref.path, clock)
            done.append(container)
        for point, path in self._ancestors(done):
            try:
                tree.add(self._directory(point + path))
            except CgroupGone:
                continue
            except OSError as error:
                self._left_out.failed(point + path, error)
                tree.add([Piece(point + path)])
        return done

    def _file(self, path: str) -> list[Piece]:
        try:
            return [Piece(path, self._root.read(path))]
        except FileNotFoundError:
            return []
        except OSError as error:
            return self._left_out.failed(path, error)

    def _own_network(self) -> list[Piece]:
        """Of pid 1, by which the host's own network is known."""
        path = "/proc/1/net/dev"
        try:
            return [Piece(path, self._root.read(path), self._root.identity(path).inode)]
        except OSError as error:
            return self._left_out.failed(path, error)

    def _process(self, pid: int, procs: str) -> list[Piece] | None:
        """None: it is gone, or no longer in the cgroup.procs given."""
        try:
            process = Process(self._root, pid, procs)
        except (CgroupGone, OSError):
            return None
        try:
            path = process.net_dev
            fd = process.open_net_dev()
            try:
                pieces = [Piece(path, read_rest(fd, b""), self._root.identity(path, fd).inode)]
            finally:
                release(fd)
            for name in PROCESS_FILES:
                pieces += self._file(f"{process.path}/{name}")
            return pieces if process.stayed() else None
        except CgroupGone:
            return None
        except OSError as error:
            self._left_out.failed(process.path, error)
            return None
        finally:
            process.close()

    def _container(self, container: Container) -> tuple[Clock, list[Piece]] | None:
        """None: it is gone, or another container replaced it at the same path."""
        for _ in range(_TRIES):
            clock = self._root.clock(container.ref.path)
            try:
                pieces = self._cgroups(container.ref)
                with container.reading() as cgroup:
                    members = cgroup.members()
                found = [self._process(pid, members.path) for pid in members.pids]
                processes = [process for process in found if process is not None]
                self._check(container.ref)
            except CgroupGone:
                return None
            except OSError as error:
                self._left_out.failed(container.ref.path, error)
                return None
            if processes or not members.pids:
                break  # else its processes have all been replaced meanwhile (or are hidden)
        return clock, pieces + [piece for process in processes for piece in process]

    def _points(self, ref: CgroupRef) -> list[tuple[str, int]]:
        """(mount point, inode), the one with the CPU time first."""
        first = self._sampler.hierarchy.mount("cpuacct")
        return sorted(ref.inodes, key=lambda item: first is None or item[0] != first.point)

    def _cgroups(self, ref: CgroupRef) -> list[Piece]:
        pieces: list[Piece] = []
        for point, inode in self._points(ref):
            pieces += self._directory(point + ref.path, inode)
            for below in self._below(point + ref.path):
                try:
                    pieces += self._directory(below)
                except CgroupGone:
                    continue
        return pieces

    def _check(self, ref: CgroupRef) -> None:
        """Raises CgroupGone unless its directories are still the same ones."""
        for point, inode in ref.inodes:
            Directory(self._root.join(point) + ref.path, inode).close()

    def _directory(self, path: str, inode: int | None = None) -> list[Piece]:
        """A cgroup directory (host path) and its files. Raises CgroupGone, OSError."""
        with Directory(self._root.join(path), inode) as directory:
            try:
                present = set(os.listdir(directory.fd))
            except FileNotFoundError as error:
                raise CgroupGone(path) from error
            pieces = [Piece(path, uid=self._root.identity(path, directory.fd).uid)]
            for name in CGROUP_FILES:
                data = directory.read(name) if name in present else Absent.FILE_ABSENT
                if not isinstance(data, Absent):
                    pieces.append(Piece(f"{path}/{name}", data))
                elif data in _TROUBLE:
                    self._left_out.add(f"{path}/{name}", data.value)
        return pieces

    def _below(self, path: str) -> Iterator[str]:
        """Directories below a container's, the nearest first."""
        level, count = [path], 0
        for _ in range(_DEPTH):
            level = [f"{above}/{name}" for above in level for name in self._children(above)]
            for found in level:
                count += 1
                if count > _BELOW:
                    self._left_out.add(found, f"and more: only {_BELOW} cgroups below a container are recorded")
                    return
                yield found

    def _children(self, path: str) -> list[str]:
        try:
            with Directory(self._root.join(path)) as directory:
                return [name for name, _ in directory.children()]
        except (CgroupGone, OSError):
            return []

    def _ancestors(self, containers: list[Container]) -> Iterator[tuple[str, str]]:
        """(mount point, path) of every cgroup above the containers, in the hierarchies that have the container."""
        found: dict[tuple[str, str], None] = {(mount.point, ""): None for mount in self._sampler.hierarchy.trees}
        for container in containers:
            for point, _ in container.ref.inodes:
                path = container.ref.path.rpartition("/")[0]
                while path:
                    found[point, path] = None
                    path = path.rpartition("/")[0]
        yield from found
